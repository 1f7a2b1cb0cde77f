//! Where the log is, and moving it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use langopen_core::clock::Clock;
use langopen_core::error::{Error, Result};
use langopen_core::event_log::EventId;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::tail::Tail;
use crate::postgres::{Mode, PostgresStore};
use crate::redis::RedisStore;
use crate::shared_log::{Appended, Kind, News, Write, millis};

/// How often it is looked where the log is, and whether Redis is back.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a process knows of where the log is may be this old when it appends to Redis; and how long looking may hold it up.
const FRESH: Duration = Duration::from_millis(500);

/// How long Redis may take to show that it is back.
const PROBE: Duration = Duration::from_millis(500);

/// By how long after a move from Redis all processes have heard of it, a second late at most, and have copied what they appended last.
const COPIED: Duration = Duration::from_millis(1500);

/// How long after a move from Redis nothing is read: by then, what Redis may have done has its place as well. Half a second before that, nothing is given such a place any more; see `event_log_append`.
const SETTLES: Duration = Duration::from_millis(2500);

/// How far clocks of processes may be apart, and how long one may not know of a move, in milliseconds.
const APART: u64 = 2000;

/// How long after a move everything is taken to be read: until all processes have said what they read.
const UNKNOWN: Duration = Duration::from_secs(60);

/// How many ends are noted in Redis afterwards.
const ENDS: usize = 10_000;

/// Where the log is, and since when this process knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) mode: Mode,
    /// When it was asked, and when the answer was taken in.
    asked: Instant,
    heard: Instant,
}

impl Known {
    fn new(mode: Mode, asked: Instant) -> Self {
        Self { mode, asked, heard: Instant::now() }
    }

    /// How long ago the log moved, at least.
    pub(super) fn moved(&self) -> Duration {
        self.mode.moved + self.heard.elapsed()
    }

    /// Whether the log moved after this moment, for sure.
    pub(super) fn has_moved_after(&self, moment: Instant) -> bool {
        self.asked.checked_sub(self.mode.moved).is_some_and(|moved| moment < moved)
    }

    /// What was appended where the log is, as readers may take it. The first record after a move does not tell what is before it elsewhere.
    pub(super) fn as_seen(&self, appended: Appended) -> Appended {
        let Mode { on_redis, generation, floor, used, .. } = self.mode;
        match appended {
            Appended::At { before, last, kept, read, .. } => {
                // With nothing in the database there is nothing elsewhere, and threads that are new are told at once.
                let is_first = generation > 0 && before.millis <= floor && (used || !on_redis);
                let settled = !is_first && (on_redis || self.moved() >= SETTLES);
                Appended::At { before, last, kept, read, settled }
            }
            nowhere => nowhere,
        }
    }
}

/// The two stores, and which of them carries the log.
pub(super) struct Moves {
    pub(super) redis: RedisStore,
    pub(super) postgres: PostgresStore,
    pub(super) tail: Tail,
    clock: Arc<dyn Clock>,
    /// The last millisecond of all places that this process has seen.
    highest: AtomicU64,
    known: Mutex<Known>,
    moving: AsyncMutex<()>,
    /// Ends of runs and of threads that came while the log was in the database.
    ends: Mutex<Vec<Write>>,
    tell: UnboundedSender<News>,
}

impl Moves {
    pub(super) async fn new(
        redis: RedisStore,
        postgres: PostgresStore,
        clock: Arc<dyn Clock>,
        tell: UnboundedSender<News>,
    ) -> Result<Self> {
        let asked = Instant::now();
        let mode = postgres.mode().await?;
        let known = Mutex::new(Known::new(mode, asked));
        let moving = AsyncMutex::default();
        let (tail, highest, ends) = (Tail::default(), AtomicU64::new(0), Mutex::default());
        let moves = Self { redis, postgres, tail, clock, highest, known, moving, ends, tell };
        moves.settle(mode);
        Ok(moves)
    }

    /// Where the log is, as far as this process knows.
    pub(super) fn known(&self) -> Known {
        *self.known.lock()
    }

    /// Looks where the log is.
    pub(super) async fn look(&self) -> Result<()> {
        let asked = Instant::now();
        let mode = self.postgres.mode().await?;
        let _moving = self.moving.lock().await;
        self.adopt(mode, asked).await;
        Ok(())
    }

    /// Looks where the log is if that was long ago: whoever was held up may have missed a move. Without an answer, it is where it was.
    pub(super) async fn look_again(&self) {
        if self.known().asked.elapsed() > FRESH {
            // The one who watches says why it cannot be looked up.
            let _ = timeout(FRESH, self.look()).await;
        }
    }

    /// Waits until all processes have copied what they appended to Redis before the log moved from there.
    pub(super) async fn copied(&self) {
        self.wait_after_move(COPIED).await;
    }

    /// Waits until everything has its place that was said before the log moved from Redis.
    pub(super) async fn settled(&self) {
        self.wait_after_move(SETTLES).await;
    }

    async fn wait_after_move(&self, time: Duration) {
        let known = self.known();
        if !known.mode.on_redis {
            tokio::time::sleep(time.saturating_sub(known.moved())).await;
        }
    }

    /// Whether the log was still on Redis when something was read: what is in the database since it moved must not be read before it is settled.
    pub(super) async fn stayed(&self, known: Known) -> Result<bool> {
        if known.mode.on_redis && known.mode.used {
            self.look().await?;
            return Ok(self.known().mode.generation == known.mode.generation);
        }
        Ok(true)
    }

    /// Notes a place of a thread: what comes after a move comes after it, whatever clocks say.
    pub(super) fn note_place(&self, place: EventId) {
        self.highest.fetch_max(place.millis, Ordering::Relaxed);
    }

    /// Notes what was appended to Redis. If the log moved while that went on, it is copied now.
    pub(super) async fn note_appended(&self, write: &Write, appended: Appended, since: Mode) {
        if let Appended::At { last, .. } = appended {
            self.note_place(last);
        }
        self.tail.add(write, appended);
        if self.known().mode.generation != since.generation {
            let _moving = self.moving.lock().await;
            self.copy_tail(&self.known().mode).await;
        }
    }

    /// Moves the log to the database because Redis failed, unless it has moved since.
    pub(super) async fn leave_redis(&self, from: Mode, why: &Error) -> Result<()> {
        let _moving = self.moving.lock().await;
        if self.known().mode.generation != from.generation {
            return Ok(());
        }
        let asked = Instant::now();
        let floor = millis(self.clock.now()).max(from.floor).max(self.highest.load(Ordering::Relaxed)) + APART;
        let mode = self.postgres.move_here(from.generation, floor).await?;
        warn!(error = %why, generation = mode.generation, "Redis fails, so the event log goes on in Postgres");
        self.adopt(mode, asked).await;
        Ok(())
    }

    /// Goes on where the log is now. Called by one at a time.
    async fn adopt(&self, mode: Mode, asked: Instant) {
        let before = self.known().mode;
        if mode.generation < before.generation {
            return;
        }
        let moved = mode.generation > before.generation;
        // What was appended to Redis since the last move that this process knows of; of what comes after it, it has appended nothing.
        if moved && before.on_redis {
            self.copy_tail(&mode).await;
        }
        self.settle(mode);
        *self.known.lock() = Known::new(mode, asked);
        if moved {
            // Without a receiver the log is going away.
            let _ = self.tell.send(News::LookEverywhere);
        }
    }

    fn settle(&self, mode: Mode) {
        if mode.on_redis {
            self.redis.since_move(mode.generation, mode.floor);
        }
        self.postgres.announce(!mode.on_redis);
        let unknown = mode.generation > 0 && mode.moved < UNKNOWN;
        self.postgres.assume_readers(unknown);
        self.redis.assume_readers(unknown);
    }

    async fn copy_tail(&self, mode: &Mode) {
        let writes = self.tail.take();
        let generation = (!mode.on_redis).then_some(mode.generation);
        self.postgres.assume_readers(true);
        let copies = writes.iter().map(|write| self.postgres.append_since(write, generation));
        for copied in join_all(copies).await {
            if let Err(error) = copied {
                warn!(%error, "events that were appended just before Redis failed cannot be copied; readers may miss them");
            }
        }
    }

    /// Remembers what has ended while the log is in the database.
    pub(super) fn note_end(&self, write: &Write) {
        let mut ends = self.ends.lock();
        if matches!(write.kind, Kind::End(_) | Kind::Removed) && ends.len() < ENDS {
            ends.push(Write { bytes: Bytes::new(), ..write.clone() });
        }
    }

    /// Looks where the log is, again and again, and moves it back to Redis when it may.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.look().await {
                debug!(%error, "it cannot be looked up where the event log is");
                continue;
            }
            let mode = self.known().mode;
            if mode.on_redis {
                self.tell_ends().await;
                continue;
            }
            // It must be there at the beginning of the time that the log stays in the database, and at its end, before the log moves back.
            let is_back = matches!(timeout(PROBE, self.redis.shut(mode.generation)).await, Ok(Ok(())));
            if is_back && mode.may_move {
                self.return_to_redis(mode).await;
            }
        }
    }

    async fn return_to_redis(&self, from: Mode) {
        let _moving = self.moving.lock().await;
        let asked = Instant::now();
        match self.postgres.move_to_redis(from.generation, millis(self.clock.now())).await {
            Ok(mode) => {
                if mode.on_redis {
                    info!(generation = mode.generation, "Redis is back, and carries the event log again");
                }
                self.adopt(mode, asked).await;
            }
            Err(error) => debug!(%error, "the event log cannot move back to Redis yet"),
        }
    }

    /// Tells Redis what has ended meanwhile.
    async fn tell_ends(&self) {
        let mut ends = std::mem::take(&mut *self.ends.lock());
        while let Some(end) = ends.last() {
            let told = match end.kind {
                Kind::End(run_id) => self.redis.note_end(end.thread_id, run_id, end.now).await,
                _ => self.redis.note_removal(end.thread_id).await,
            };
            if let Err(error) = told {
                debug!(%error, "Redis cannot be told what has ended meanwhile");
                self.ends.lock().append(&mut ends);
                return;
            }
            ends.pop();
        }
    }
}
