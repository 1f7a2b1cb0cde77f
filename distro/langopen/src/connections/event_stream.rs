//! The rest of an answer that is a stream, such as one of events, in the chunks of HTTP/1.1.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;

use super::Broken;
use super::hand_over::Rest;
use super::wire::{Wire, gone};

/// How much a client may send ahead. The rest waits on its way until the stream has ended.
const AHEAD: usize = 4096;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A digit that the length of the next chunk may begin with, whatever that is. It says nothing, and is sent to learn
/// whether anybody is there.
const PROBE: &[u8] = b"0";

/// What a client does while the stream is sent to it.
enum Client {
    /// It may send something, or end.
    Listening,
    /// It has sent something that waits for its turn.
    Ahead,
    /// It has closed its sending half. The future ends when it is gone altogether.
    HalfClosed(BoxFuture<'static, ()>),
}

/// Sends the rest to its end. Then the connection is good for the next request; `None` if there is none, or the client
/// is gone.
pub(super) async fn send(mut wire: Wire, rest: Rest) -> Result<Option<Wire>, Broken> {
    let Rest { body, last } = rest;
    // What is no data is trailers, which no client of streams knows.
    let mut pieces = body.into_data_stream();
    let mut client = if wire.unread.is_empty() { Client::Listening } else { Client::Ahead };
    loop {
        tokio::select! {
            piece = pieces.next() => match piece {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => chunk(&mut wire, piece).await?,
                // Without a last chunk the client knows that this was not the end.
                Some(Err(error)) => return Err(error.into()),
                None => break,
            },
            heard = hear(&mut wire, &mut client) => match heard? {
                Heard::Ahead => client = Client::Ahead,
                Heard::End => {
                    client = Client::HalfClosed(gone(&wire.read)?);
                    wire.write.write_all(PROBE).await?;
                }
                Heard::Gone => return Ok(None),
            },
        }
    }
    wire.write.write_all(LAST_CHUNK).await?;
    Ok((!last && !matches!(client, Client::HalfClosed(_))).then_some(wire))
}

async fn chunk(wire: &mut Wire, piece: Bytes) -> io::Result<()> {
    // The piece itself is not copied.
    let mut chunk = Bytes::from(format!("{:x}\r\n", piece.len())).chain(piece).chain(&b"\r\n"[..]);
    wire.write.write_all_buf(&mut chunk).await
}

enum Heard {
    /// The client sends the next request.
    Ahead,
    /// The client sends no more.
    End,
    /// Nobody reads what is sent.
    Gone,
}

/// Waits for what the client does.
async fn hear(wire: &mut Wire, client: &mut Client) -> io::Result<Heard> {
    match client {
        Client::Ahead => std::future::pending().await,
        Client::HalfClosed(gone) => {
            gone.await;
            return Ok(Heard::Gone);
        }
        Client::Listening => {}
    }
    loop {
        // Nothing is kept to read into while there is nothing to read.
        wire.read.readable().await?;
        let mut ahead = BytesMut::new().limit(AHEAD);
        match wire.read.try_read_buf(&mut ahead) {
            Ok(0) => return Ok(Heard::End),
            Ok(_) => {
                wire.unread = ahead.into_inner().freeze();
                return Ok(Heard::Ahead);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
