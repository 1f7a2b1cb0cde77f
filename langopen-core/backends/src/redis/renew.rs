//! Saying again and again which threads are read in this process.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::ids::ThreadId;
use parking_lot::Mutex;
use redis::RedisResult;
use redis::aio::ConnectionManager;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::keys::Keys;
use super::log_store::Watched;
use crate::shared_log::News;

/// How long it holds that a thread is read, in seconds, and how often that is said.
const HELD: u64 = 60;
const EVERY: Duration = Duration::from_secs(20);

/// How many threads are named in one step.
const TOGETHER: usize = 500;

/// Keeps the server knowing which threads are read here.
pub(super) struct Renewal {
    connection: ConnectionManager,
    keys: Keys,
    watched: Watched,
    tell: UnboundedSender<News>,
    soon: Notify,
    /// When it was said last of all threads.
    said: Mutex<Instant>,
}

impl Renewal {
    pub(super) fn new(
        connection: ConnectionManager,
        keys: Keys,
        watched: Watched,
        tell: UnboundedSender<News>,
    ) -> Arc<Self> {
        Arc::new(Self { connection, keys, watched, tell, soon: Notify::new(), said: Mutex::new(Instant::now()) })
    }

    /// Says it now.
    pub(super) fn now(&self) {
        self.soon.notify_one();
    }

    pub(super) async fn run(self: Arc<Self>) {
        loop {
            // Either way it is time.
            let _ = timeout(EVERY, self.soon.notified()).await;
            let began = Instant::now();
            if let Err(error) = self.say().await {
                debug!(%error, "Redis cannot be told which threads are read");
                continue;
            }
            let before = std::mem::replace(&mut *self.said.lock(), began);
            if began.duration_since(before) > Duration::from_secs(HELD) {
                // Without a receiver the log is going away.
                let _ = self.tell.send(News::Missed);
            }
        }
    }

    async fn say(&self) -> RedisResult<()> {
        let threads: Vec<ThreadId> = self.watched.lock().iter().copied().collect();
        for some in threads.chunks(TOGETHER) {
            let mut pipeline = redis::pipe();
            for thread_id in some {
                let key = self.keys.of_thread(*thread_id, "watched");
                pipeline.cmd("SET").arg(key).arg(1).arg("EX").arg(HELD).ignore();
            }
            pipeline.query_async::<()>(&mut self.connection.clone()).await?;
        }
        Ok(())
    }
}
