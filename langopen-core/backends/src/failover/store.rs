//! The store of an event log that is on Redis or in Postgres.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::event_log::EventId;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::signals::Signals;
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::moves::{Known, Moves};
use crate::postgres::{Mode, Postgres, PostgresStore};
use crate::redis::{NotDone, RedisLogOptions, RedisStore};
use crate::shared_log::{Appended, Kind, LogStore, News, Opened, Page, Write};

/// How long Redis may take for anything before the log moves.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long after a move a reader waits for what Redis alone knows.
const AWAY: Duration = Duration::from_secs(60);

/// The pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// How often an append follows the log that moves.
const MOVES: usize = 8;

/// A log on Redis, and in Postgres while Redis is away.
pub(super) struct FailoverStore {
    moves: Arc<Moves>,
    news: Mutex<Option<UnboundedReceiver<News>>>,
    tasks: Vec<AbortHandle>,
}

async fn pass_on(mut news: UnboundedReceiver<News>, tell: UnboundedSender<News>) {
    while let Some(news) = news.recv().await {
        if tell.send(news).is_err() {
            return;
        }
    }
}

impl FailoverStore {
    pub(super) async fn open(
        url: &str,
        options: RedisLogOptions,
        db: &Postgres,
        signals: Option<Arc<dyn Signals>>,
    ) -> Result<Self> {
        let RedisLogOptions { clock, prefix, retention, patience } = options;
        let redis = RedisStore::new(url, &prefix, retention, patience.min(PATIENCE))?.that_moves();
        let postgres = PostgresStore::open(db, retention, signals).await?;
        let (tell, news) = mpsc::unbounded_channel();
        let mut tasks: Vec<_> = [redis.news(), postgres.news()]
            .into_iter()
            .map(|news| tokio::spawn(pass_on(news, tell.clone())).abort_handle())
            .collect();
        let moves = Arc::new(Moves::new(redis, postgres, clock, tell).await?);
        tasks.push(tokio::spawn(Arc::clone(&moves).watch()).abort_handle());
        Ok(Self { moves, news: Mutex::new(Some(news)), tasks })
    }

    pub(super) fn is_on_redis(&self) -> bool {
        self.moves.known().mode.on_redis
    }

    async fn open_both(&self, thread_id: ThreadId, run_id: Option<RunId>, known: Known) -> Result<Opened> {
        let Moves { redis, postgres, .. } = &*self.moves;
        let Mode { on_redis, used, floor, .. } = known.mode;
        if on_redis {
            postgres.watch(thread_id);
            let here = within("event_log.read", redis.open(thread_id, run_id)).await?;
            // Also if the log moves before it is read.
            let here = Opened { elsewhere: here.last, ..here };
            if !used {
                return Ok(here);
            }
            let there = postgres.open(thread_id, run_id).await?;
            let last = here.last.max(there.last);
            self.moves.note_place(last);
            return Ok(Opened { last, ended: here.ended || there.ended, kept: here.kept || there.kept, ..here });
        }
        redis.watch(thread_id);
        self.moves.settled().await;
        let here = postgres.open(thread_id, run_id).await?;
        if began_after(run_id.map_or(thread_id.0, |run_id| run_id.0), &known) {
            return Ok(here);
        }
        // Redis may have some of it, also when it cannot be asked now.
        let elsewhere = EventId { millis: floor, sequence: u64::from(u32::MAX) };
        let ended = within("event_log.read", redis.open(thread_id, run_id)).await.is_ok_and(|there| there.ended);
        Ok(Opened { kept: true, elsewhere, ended: here.ended || ended, ..here })
    }

    /// What is kept in both.
    async fn kept_in_both(
        &self,
        thread_id: ThreadId,
        run_id: Option<RunId>,
        after: EventId,
        opened: &Opened,
    ) -> Result<Page> {
        let Moves { redis, postgres, .. } = &*self.moves;
        self.moves.settled().await;
        let known = self.moves.known();
        let Mode { on_redis, used, .. } = known.mode;
        let is_elsewhere = opened.elsewhere > EventId::ZERO;
        let in_redis = Opened { last: opened.last.max(opened.elsewhere), ..*opened };
        let asked = match on_redis || is_elsewhere {
            true => within("event_log.read", redis.kept(thread_id, run_id, after, &in_redis)).await,
            false => Ok(Page::default()),
        };
        let from_redis = match asked {
            // It is away for so long that it may never come back.
            Err(_) if !on_redis && known.moved() > AWAY => Page::default(),
            asked => asked?,
        };
        if !used && on_redis {
            return Ok(from_redis);
        }
        Ok(merge(from_redis, postgres.kept(thread_id, run_id, after, opened).await?))
    }
}

/// Waits for Redis, but not for long.
async fn within<T>(operation: &'static str, answer: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |error| Error::unavailable(operation, "Redis did not answer in time").with_source(error);
    timeout(PATIENCE, answer).await.unwrap_or_else(|error| Err(late(error)))
}

/// Whether an id that carries its time says that it was made after the log moved.
fn began_after(id: Uuid, known: &Known) -> bool {
    let Some(made) = (id.get_version_num() == 7).then(|| id.get_timestamp()).flatten() else { return false };
    let (seconds, nanos) = made.to_unix();
    seconds * 1000 + u64::from(nanos / 1_000_000) > known.mode.floor
}

/// What both stores hold, in one order, and what both hold, once: in its place on Redis, where readers heard it first. A place that both have given is the
/// database's: to Redis then wrote a process that did not know of a move.
fn merge(redis: Page, postgres: Page) -> Page {
    let end = |page: &Page| match page.more {
        true => page.records.last().map_or(EventId::ZERO, |record| record.last),
        false => EventId::MAX,
    };
    let known = end(&redis).min(end(&postgres));
    let more = redis.more || postgres.more;
    let mut records = redis.records;
    records
        .retain(|record| postgres.records.iter().all(|other| other.last != record.last || other.mark == record.mark));
    let others = postgres.records.into_iter();
    let others: Vec<_> = others.filter(|other| records.iter().all(|record| record.mark != other.mark)).collect();
    records.extend(others);
    records.sort_by_key(|record| record.last);
    records.retain(|record| record.last <= known);
    Page { records, more }
}

impl Drop for FailoverStore {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

#[async_trait]
impl LogStore for FailoverStore {
    async fn append(&self, write: &Write) -> Result<Appended> {
        let Moves { redis, postgres, .. } = &*self.moves;
        let mut write = write.clone();
        let begun = Instant::now();
        self.moves.look_again().await;
        for _ in 0..MOVES {
            let known = self.moves.known();
            let mode = known.mode;
            // What began after the move comes after what others have said in the database by then.
            write.unsure &= mode.on_redis || known.has_moved_after(begun);
            if (mode.on_redis || !write.unsure) && write.first.millis <= mode.floor {
                write.first = EventId { millis: mode.floor + 1, sequence: 0 };
            }
            if mode.on_redis {
                match redis.append_or_tell(&write).await {
                    Ok(appended) => {
                        self.moves.note_appended(&write, appended, mode).await;
                        if mode.used && write.kind == Kind::Removed {
                            // What was kept there goes, too; who hears of it twice knows it by its mark.
                            postgres.append_since(&write, None).await?;
                        }
                        return Ok(known.as_seen(appended));
                    }
                    Err(NotDone { error, unsure }) if error.is_retryable() => {
                        self.moves.leave_redis(mode, &error).await?;
                        write.again |= unsure;
                        // Who has not spoken here does not know its place there.
                        write.unsure |= unsure && write.follows.millis > mode.floor;
                    }
                    Err(NotDone { error, .. }) => return Err(error),
                }
            } else {
                if write.unsure {
                    // It keeps the place that it may have on Redis, so that who heard it there does not hear it again; behind what others have there.
                    self.moves.copied().await;
                }
                let known = self.moves.known();
                match postgres.append_since(&write, Some(mode.generation)).await? {
                    Some(appended) => {
                        self.moves.note_end(&write);
                        return Ok(known.as_seen(appended));
                    }
                    None => self.moves.look().await?,
                }
            }
        }
        Err(Error::unavailable("event_log.append", "the event log moves between Redis and Postgres again and again"))
    }

    async fn open(&self, thread_id: ThreadId, run_id: Option<RunId>) -> Result<Opened> {
        loop {
            let known = self.moves.known();
            match self.open_both(thread_id, run_id, known).await {
                Err(error) if error.is_retryable() && known.mode.on_redis => {
                    self.moves.leave_redis(known.mode, &error).await?;
                    return self.open_both(thread_id, run_id, self.moves.known()).await;
                }
                opened if self.moves.stayed(known).await? => return opened,
                _ => {}
            }
        }
    }

    fn left(&self, thread_id: ThreadId) {
        self.moves.redis.left(thread_id);
        self.moves.postgres.left(thread_id);
    }

    async fn kept(&self, thread_id: ThreadId, run_id: Option<RunId>, after: EventId, opened: &Opened) -> Result<Page> {
        let began = Instant::now();
        loop {
            match self.kept_in_both(thread_id, run_id, after, opened).await {
                Err(error) if error.is_retryable() && began.elapsed() < AWAY => tokio::time::sleep(PAUSE).await,
                page => return page,
            }
        }
    }

    async fn since(&self, thread_id: ThreadId, after: EventId) -> Result<Page> {
        let Moves { redis, postgres, .. } = &*self.moves;
        loop {
            self.moves.settled().await;
            let known = self.moves.known();
            let Mode { on_redis, used, .. } = known.mode;
            let mut page = if on_redis { redis.since(thread_id, after).await? } else { Page::default() };
            if !on_redis || used {
                page = merge(page, postgres.since(thread_id, after).await?);
            }
            if self.moves.stayed(known).await? {
                return Ok(page);
            }
        }
    }

    async fn lasts(&self, threads: &[ThreadId]) -> Result<Vec<EventId>> {
        let Moves { redis, postgres, .. } = &*self.moves;
        loop {
            self.moves.settled().await;
            let known = self.moves.known();
            let Mode { on_redis, used, .. } = known.mode;
            let mut lasts = match on_redis && !used {
                true => vec![EventId::ZERO; threads.len()],
                false => postgres.lasts(threads).await?,
            };
            if on_redis {
                let there = redis.lasts(threads).await?;
                lasts.iter_mut().zip(there).for_each(|(last, there)| *last = there.max(*last));
            }
            if self.moves.stayed(known).await? {
                lasts.iter().for_each(|last| self.moves.note_place(*last));
                return Ok(lasts);
            }
        }
    }

    async fn sweep(&self, now: Timestamp, retention: Duration) -> Result<u64> {
        let Moves { redis, postgres, .. } = &*self.moves;
        let swept = postgres.sweep(now, retention).await?;
        match redis.sweep(now, retention).await {
            Ok(more) => Ok(swept + more),
            // It is swept when it is back.
            Err(error) if error.is_retryable() => Ok(swept),
            Err(error) => Err(error),
        }
    }

    fn news(&self) -> UnboundedReceiver<News> {
        self.news.lock().take().unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}
