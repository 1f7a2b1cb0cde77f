//! The rest of an answer that is a stream of events, in chunks as HTTP/1.1 has them.

use std::io;

use axum::body::Body;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::Broken;
use super::wire::Wire;

/// How much a client may send ahead. The rest waits on its way until the stream has ended.
const AHEAD: usize = 4096;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Sends `body` to its end. Then the connection is good for the next request; `None` if the client is gone.
pub(super) async fn send(mut wire: Wire, body: Body) -> Result<Option<Wire>, Broken> {
    // What is no data is trailers, which no client of event streams knows.
    let mut events = body.into_data_stream();
    loop {
        // A client that has sent something is there, and is listened to when its turn comes.
        let listening = wire.unread.is_empty();
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) if event.is_empty() => {}
                Some(Ok(event)) => chunk(&mut wire, event).await?,
                // Without a last chunk the client knows that this was not the end.
                Some(Err(error)) => return Err(error.into()),
                None => break,
            },
            heard = hear(&mut wire), if listening => if !heard? {
                return Ok(None);
            },
        }
    }
    wire.write.write_all(LAST_CHUNK).await?;
    Ok(Some(wire))
}

async fn chunk(wire: &mut Wire, event: Bytes) -> io::Result<()> {
    // The event itself is not copied.
    let mut chunk = Bytes::from(format!("{:x}\r\n", event.len())).chain(event).chain(&b"\r\n"[..]);
    wire.write.write_all_buf(&mut chunk).await
}

/// Waits for what the client sends; whether it is there at all.
async fn hear(wire: &mut Wire) -> io::Result<bool> {
    loop {
        // Nothing is kept to read into while there is nothing to read.
        wire.read.readable().await?;
        let mut ahead = BytesMut::new().limit(AHEAD);
        match wire.read.try_read_buf(&mut ahead) {
            Ok(0) => return Ok(false),
            Ok(_) => {
                wire.unread = ahead.into_inner().freeze();
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
