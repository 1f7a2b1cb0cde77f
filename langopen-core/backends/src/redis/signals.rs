//! Signals between processes through a Redis server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::error::Result;
use langopen_core::ids::{IdSource, SystemIds};
use langopen_core::signals::{SIGNALS_KEPT, Signal, Signals};
use tokio::sync::{broadcast, mpsc};
use tokio::task::AbortHandle;

use super::connection::Server;
use super::keys::Keys;
use super::subscriber::{Change, Heard, subscribe};
use crate::signals::{Outbound, received};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Signals that come within this time after a message go together in the next one.
const GAP: Duration = Duration::from_millis(2);

/// The longest message, in bytes.
const LIMIT: usize = 64 * 1024;

/// [`Signals`] through a Redis server, between all processes that name the same server and prefix. Clones are the same
/// party.
#[derive(Clone)]
pub struct RedisSignals {
    shared: Arc<Shared>,
}

struct Shared {
    outbound: Arc<Outbound>,
    heard: broadcast::Sender<Signal>,
    /// The subscription lasts as long as this sender.
    _changes: mpsc::UnboundedSender<Change>,
    tasks: [AbortHandle; 2],
}

impl RedisSignals {
    /// Through the server at `redis://...`, or `rediss://...` over TLS, on a channel whose name begins with `prefix`.
    /// The server may be away; signals are then lost.
    ///
    /// # Errors
    /// `Invalid` for a bad URL.
    pub fn new(url: &str, prefix: &str) -> Result<Self> {
        let server = Server::new(url)?;
        let connection = server.connection(PATIENCE)?;
        let (own, channel) = (SystemIds.random(), Keys::new(prefix).name("signals"));
        let (heard, _) = broadcast::channel(SIGNALS_KEPT);
        let (changes, changed) = mpsc::unbounded_channel();
        // The receiver is in this function.
        let _ = changes.send(Change::Add(channel.clone()));
        let outbound = Arc::new(Outbound::new(own, LIMIT));
        let hear = {
            let heard = heard.clone();
            move |what| {
                let signals = match what {
                    Heard::Message(_, text) => received(own, &text),
                    Heard::Channels(_) | Heard::Connected => vec![Signal::Missed],
                    Heard::Broken => Vec::new(),
                };
                for signal in signals {
                    // Without a receiver nobody waits for signals.
                    let _ = heard.send(signal);
                }
            }
        };
        let publish = {
            let server = server.clone();
            move |messages: Vec<String>| {
                let mut pipeline = redis::pipe();
                for text in &messages {
                    pipeline.publish(&channel, text).ignore();
                }
                let (mut connection, failed) = (connection.clone(), server.failed("signals.send"));
                async move { pipeline.query_async::<()>(&mut connection).await.map_err(failed) }
            }
        };
        let send = Arc::clone(&outbound).run(GAP, publish);
        let tasks = [tokio::spawn(subscribe(server, changed, hear)).abort_handle(), tokio::spawn(send).abort_handle()];
        Ok(Self { shared: Arc::new(Shared { outbound, heard, _changes: changes, tasks }) })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for RedisSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSignals").finish_non_exhaustive()
    }
}

impl Signals for RedisSignals {
    fn send(&self, signal: Signal) {
        self.shared.outbound.add(signal);
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.shared.heard.subscribe()
    }
}
