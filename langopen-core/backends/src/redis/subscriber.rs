//! A connection that subscribes to channels, and reconnects when it breaks.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use redis::RedisResult;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

use super::connection::Server;

/// The pause before a reconnect.
const PAUSE: Duration = Duration::from_millis(200);

/// How often the connection is checked, and how long the server may take to answer.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(5);

/// How many channels one command names.
const TOGETHER: usize = 500;

/// A change of the subscribed channels.
#[derive(Debug)]
pub(super) enum Change {
    Add(String),
    Remove(String),
}

/// What the connection delivers.
#[derive(Debug)]
pub(super) enum Heard {
    Message(String, Bytes),
    /// Messages on these channels are delivered from now on.
    Channels(Vec<String>),
    /// The connection was made. Earlier messages on any channel may be missing.
    Connected,
    /// The connection broke, or cannot be made.
    Broken,
}

/// Delivers messages until `changes` end.
pub(super) async fn subscribe(server: Server, mut changes: UnboundedReceiver<Change>, heard: impl Fn(Heard)) {
    let mut channels = HashSet::new();
    let mut told = false;
    loop {
        match connect(&server, &channels).await {
            Ok((sink, stream)) => {
                told = false;
                heard(Heard::Connected);
                match hear(sink, stream, &mut channels, &mut changes, &heard).await {
                    Ok(()) => return,
                    Err(error) => debug!(%error, "the subscription to Redis broke; reconnecting"),
                }
            }
            Err(error) if !told => {
                told = true;
                warn!(%error, "cannot subscribe to Redis; trying again");
            }
            Err(_) => {}
        }
        heard(Heard::Broken);
        if changes.is_closed() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn late(_: tokio::time::error::Elapsed) -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

async fn connect(server: &Server, channels: &HashSet<String>) -> RedisResult<(PubSubSink, PubSubStream)> {
    let pubsub = timeout(ANSWER, server.client().get_async_pubsub()).await.map_err(late)??;
    let (mut sink, stream) = pubsub.split();
    let all: Vec<_> = channels.iter().collect();
    for some in all.chunks(TOGETHER) {
        timeout(ANSWER, sink.subscribe(some)).await.map_err(late)??;
    }
    Ok((sink, stream))
}

async fn hear(
    mut sink: PubSubSink,
    mut stream: PubSubStream,
    channels: &mut HashSet<String>,
    changes: &mut UnboundedReceiver<Change>,
    heard: &impl Fn(Heard),
) -> RedisResult<()> {
    let mut alive = interval(ALIVE_EVERY);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(message) => {
                    let bytes = Bytes::copy_from_slice(message.get_payload_bytes());
                    heard(Heard::Message(message.get_channel_name().to_owned(), bytes));
                }
                None => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
            },
            change = changes.recv() => {
                let Some(change) = change else { return Ok(()) };
                let (added, removed) = gather(channels, change, changes);
                for some in added.chunks(TOGETHER) {
                    timeout(ANSWER, sink.subscribe(some)).await.map_err(late)??;
                }
                if !added.is_empty() {
                    heard(Heard::Channels(added));
                }
                for some in removed.chunks(TOGETHER) {
                    timeout(ANSWER, sink.unsubscribe(some)).await.map_err(late)??;
                }
            }
            _ = alive.tick() => {
                timeout(ANSWER, sink.ping::<redis::Value>()).await.map_err(late)??;
            }
        }
    }
}

/// Gathers all waiting changes. A channel that is added and removed again, or the other way round, does not change.
fn gather(
    channels: &mut HashSet<String>,
    first: Change,
    changes: &mut UnboundedReceiver<Change>,
) -> (Vec<String>, Vec<String>) {
    let (mut added, mut removed) = (HashSet::new(), HashSet::new());
    let mut next = Some(first);
    while let Some(change) = next {
        match change {
            Change::Add(channel) => {
                if channels.insert(channel.clone()) && !removed.remove(&channel) {
                    added.insert(channel);
                }
            }
            Change::Remove(channel) => {
                if channels.remove(&channel) && !added.remove(&channel) {
                    removed.insert(channel);
                }
            }
        }
        next = changes.try_recv().ok();
    }
    (added.into_iter().collect(), removed.into_iter().collect())
}
