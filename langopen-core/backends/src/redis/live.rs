//! Live copies of events through a Redis server: one channel for each thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use langopen_core::error::Result;
use langopen_core::ids::ThreadId;
use parking_lot::Mutex;
use redis::aio::ConnectionManager;
use tokio::sync::mpsc::{self, Receiver, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use super::connection::Server;
use super::keys::Keys;
use super::subscriber::{Change, Heard, subscribe};
use crate::live_copies::{Delivery, LiveCopies};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many copies, and how many bytes of them, wait for the server; more are dropped.
const WAITING: usize = 4096;
const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// How many copies are published in one round trip.
const TOGETHER: usize = 256;

/// Live copies of events through a Redis server, between all processes that name the same server and prefix. Clones are
/// the same carrier.
///
/// The server stores nothing: a copy goes to the processes that listen just then. While the server is away,
/// [`send`](LiveCopies::send) returns `false`, and the log falls back to its signals.
///
/// ```no_run
/// # async fn example() -> langopen_core::Result<()> {
/// use std::sync::Arc;
/// use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresLogOptions, PostgresOptions};
/// use langopen_backends::redis::RedisLive;
///
/// let db = Postgres::open("postgres://localhost/langopen", PostgresOptions::default()).await?;
/// let live = RedisLive::new("redis://localhost", "langopen:")?;
/// let options = PostgresLogOptions::default().with_live_copies(Arc::new(live));
/// let log = PostgresEventLog::open_with(&db, options).await?;
/// # drop(log);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisLive {
    shared: Arc<Shared>,
}

struct Shared {
    keys: Keys,
    copies: mpsc::Sender<(ThreadId, Bytes)>,
    waiting_bytes: Arc<AtomicUsize>,
    changes: UnboundedSender<Change>,
    health: Arc<Health>,
    deliveries: Mutex<Option<UnboundedReceiver<Delivery>>>,
    tasks: [AbortHandle; 2],
}

/// Whether the server answers those who publish and those who listen.
#[derive(Default)]
struct Health {
    publishes: AtomicBool,
    listens: AtomicBool,
}

impl RedisLive {
    /// Through the server at `redis://...`, or `rediss://...` over TLS, on channels whose names begin with `prefix`.
    /// The server may be away.
    ///
    /// # Errors
    /// `Invalid` for a bad URL.
    pub fn new(url: &str, prefix: &str) -> Result<Self> {
        let server = Server::new(url)?;
        let connection = server.connection(PATIENCE)?;
        let keys = Keys::new(prefix);
        let (copies, waiting) = mpsc::channel(WAITING);
        let (changes, changed) = mpsc::unbounded_channel();
        let (deliver, deliveries) = mpsc::unbounded_channel();
        let health = Arc::<Health>::default();
        health.publishes.store(true, Ordering::Relaxed);
        let heard = {
            let (keys, health) = (keys.clone(), Arc::clone(&health));
            move |heard| {
                for delivery in deliveries_of(&keys, &health, heard) {
                    // Without a receiver there is no log.
                    let _ = deliver.send(delivery);
                }
            }
        };
        let waiting_bytes = Arc::<AtomicUsize>::default();
        let publishing = publish(connection, keys.clone(), Arc::clone(&health), waiting, Arc::clone(&waiting_bytes));
        let tasks =
            [tokio::spawn(subscribe(server, changed, heard)).abort_handle(), tokio::spawn(publishing).abort_handle()];
        let deliveries = Mutex::new(Some(deliveries));
        Ok(Self { shared: Arc::new(Shared { keys, copies, waiting_bytes, changes, health, deliveries, tasks }) })
    }

    /// Whether the server carries copies now, as far as this process knows.
    pub fn is_up(&self) -> bool {
        self.shared.health.publishes.load(Ordering::Relaxed) && self.shared.health.listens.load(Ordering::Relaxed)
    }
}

fn deliveries_of(keys: &Keys, health: &Health, heard: Heard) -> Vec<Delivery> {
    match heard {
        Heard::Connected => {
            health.listens.store(true, Ordering::Relaxed);
            vec![Delivery::Missed]
        }
        Heard::Broken => {
            health.listens.store(false, Ordering::Relaxed);
            Vec::new()
        }
        Heard::Channels(channels) => {
            channels.iter().filter_map(|channel| keys.thread_of(channel)).map(Delivery::Watching).collect()
        }
        Heard::Message(channel, bytes) => {
            keys.thread_of(&channel).map(|thread_id| Delivery::Copy(thread_id, bytes)).into_iter().collect()
        }
    }
}

/// Publishes the waiting copies, until there will be none.
async fn publish(
    mut connection: ConnectionManager,
    keys: Keys,
    health: Arc<Health>,
    mut waiting: Receiver<(ThreadId, Bytes)>,
    waiting_bytes: Arc<AtomicUsize>,
) {
    let mut copies = Vec::new();
    while waiting.recv_many(&mut copies, TOGETHER).await > 0 {
        let mut pipeline = redis::pipe();
        let mut bytes = 0;
        for (thread_id, copy) in copies.drain(..) {
            bytes += copy.len();
            pipeline.publish(keys.thread(thread_id), &copy[..]).ignore();
        }
        let published = pipeline.query_async::<()>(&mut connection).await;
        waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let was_up = health.publishes.swap(published.is_ok(), Ordering::Relaxed);
        match published {
            Err(error) if was_up => {
                warn!(%error, "Redis does not take live copies of events; other processes fetch events from Postgres");
            }
            Err(error) => debug!(%error, "Redis does not take live copies of events yet"),
            Ok(()) => {}
        }
    }
}

impl LiveCopies for RedisLive {
    fn send(&self, thread_id: ThreadId, copy: Bytes) -> bool {
        let bytes = copy.len();
        if self.shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > WAITING_BYTES {
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        // A server that was away may be back, so the copy is tried in any case.
        let waits = self.shared.copies.try_send((thread_id, copy)).is_ok();
        if !waits {
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        waits && self.shared.health.publishes.load(Ordering::Relaxed)
    }

    fn watch(&self, thread_id: ThreadId) {
        // Without the listening task the log looks by itself.
        let _ = self.shared.changes.send(Change::Add(self.shared.keys.thread(thread_id)));
    }

    fn unwatch(&self, thread_id: ThreadId) {
        let _ = self.shared.changes.send(Change::Remove(self.shared.keys.thread(thread_id)));
    }

    fn deliveries(&self) -> UnboundedReceiver<Delivery> {
        self.shared.deliveries.lock().take().unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for RedisLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLive").field("up", &self.is_up()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn copies_for_a_server_that_hangs_take_limited_memory() {
        // The server accepts connections and never answers.
        let hangs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let live = RedisLive::new(&format!("redis://{}", hangs.local_addr().unwrap()), "hangs:").unwrap();
        let thread_id = ThreadId(uuid::Uuid::nil());
        let copy = Bytes::from(vec![0; 1024 * 1024]);
        let sent = (0..100).filter(|_| live.send(thread_id, copy.clone())).count();
        assert_eq!(sent, 32);
        assert_eq!(live.shared.waiting_bytes.load(Ordering::Relaxed), WAITING_BYTES);
    }
}
