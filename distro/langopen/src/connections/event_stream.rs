//! The rest of an answer that is a stream of events, in the chunks of HTTP/1.1.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;

use super::Broken;
use super::hand_over::{Events, ends_event};
use super::wire::{Wire, gone};

/// How much a client may send ahead. The rest waits on its way until the stream has ended.
const AHEAD: usize = 4096;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A comment, which clients of event streams skip.
const COMMENT: Bytes = Bytes::from_static(b":\r\n\r\n");

/// What a client does while the stream is sent to it.
enum Client {
    /// It may send something, or end.
    Listening,
    /// It has sent something that waits for its turn.
    Ahead,
    /// It has closed its sending half. The future ends when it is gone altogether.
    HalfClosed(BoxFuture<'static, ()>),
}

/// Sends the events to their end. Then the connection is good for the next request; `None` if the client sends no more, or is gone.
pub(super) async fn send(mut wire: Wire, events: Events) -> Result<Option<Wire>, Broken> {
    let Events { body, mut whole } = events;
    // What is no data is trailers, which no client of event streams knows.
    let mut events = body.into_data_stream();
    let mut client = if wire.unread.is_empty() { Client::Listening } else { Client::Ahead };
    loop {
        tokio::select! {
            // Events first, so that the comment below comes between two of them.
            biased;
            event = events.next() => match event {
                Some(Ok(event)) if event.is_empty() => {}
                Some(Ok(event)) => {
                    whole = ends_event(&event, whole);
                    chunk(&mut wire, event).await?;
                }
                // Without a last chunk the client knows that this was not the end.
                Some(Err(error)) => return Err(error.into()),
                None => break,
            },
            heard = hear(&mut wire, &mut client) => match heard? {
                Heard::Ahead => client = Client::Ahead,
                Heard::End => {
                    client = Client::HalfClosed(gone(&wire.read)?);
                    if whole {
                        chunk(&mut wire, COMMENT).await?;
                    }
                }
                Heard::Gone => return Ok(None),
            },
        }
    }
    wire.write.write_all(LAST_CHUNK).await?;
    Ok((!matches!(client, Client::HalfClosed(_))).then_some(wire))
}

async fn chunk(wire: &mut Wire, event: Bytes) -> io::Result<()> {
    // The event itself is not copied.
    let mut chunk = Bytes::from(format!("{:x}\r\n", event.len())).chain(event).chain(&b"\r\n"[..]);
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
