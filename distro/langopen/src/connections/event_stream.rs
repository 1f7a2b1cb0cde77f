//! Sends the rest of a streamed answer, such as a stream of events, in the chunks of HTTP/1.1.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;

use super::Broken;
use super::hand_over::Rest;
use super::wire::{Wire, gone};

/// How many bytes this module reads ahead of the next request. The rest stays in the socket until the stream has ended.
const AHEAD: usize = 4096;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A leading zero of the next chunk's length, which is valid for any length. It carries no data: the server sends it to
/// learn whether the client still exists.
const PROBE: &[u8] = b"0";

/// The state of a client that receives a stream.
enum Client {
    /// The client may send data or close its sending half.
    Listening,
    /// The client has sent the beginning of its next request, which waits until the stream has ended.
    Ahead,
    /// The client has closed its sending half. The future completes when the client has disconnected completely.
    HalfClosed(BoxFuture<'static, ()>),
}

/// Sends the rest of the stream. Returns the connection if it can serve another request. Returns `None` if the
/// connection ends here or the client has disconnected.
pub(super) async fn send(mut wire: Wire, rest: Rest) -> Result<Option<Wire>, Broken> {
    let Rest { body, last } = rest;
    // Frames without data are trailers, which clients of streams do not read.
    let mut pieces = body.into_data_stream();
    let mut client = if wire.unread.is_empty() { Client::Listening } else { Client::Ahead };
    loop {
        tokio::select! {
            piece = pieces.next() => match piece {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => chunk(&mut wire, piece).await?,
                // The stream ends without its last chunk, so the client knows that the answer is incomplete.
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
    // The chunk holds the piece without copying it.
    let mut chunk = Bytes::from(format!("{:x}\r\n", piece.len())).chain(piece).chain(&b"\r\n"[..]);
    wire.write.write_all_buf(&mut chunk).await
}

enum Heard {
    /// The client has sent bytes of its next request.
    Ahead,
    /// The client has closed its sending half.
    End,
    /// The client has disconnected.
    Gone,
}

/// Waits for the next event of the client's side.
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
        // No buffer is allocated until there are bytes to read.
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
