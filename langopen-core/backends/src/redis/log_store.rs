//! The store of an event log on a Redis server.
//!
//! What is kept of a run is a stream of its own, so that it goes in one step when its time is over; what is not kept is for those who read just then, and
//! for a minute, in case that they missed it when it was told. Whoever appends does it in a script, so that places rise in a thread whoever appends.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::event_log::EventId;
use langopen_core::ids::{RunId, ThreadId};
use parking_lot::Mutex;
use redis::aio::ConnectionManager;
use redis::{RedisResult, Script};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::connection::Server;
use super::keys::{Keys, bounds, numbers, place};
use super::pages::{Entry, PAGE, merge};
use super::renew::Renewal;
use super::subscriber::{Change, subscribe};
use super::told::{Hearing, Horizon};
use crate::shared_log::{Appended, LogStore, News, Opened, Page, Write, millis};

/// How long what is not kept can be fetched, in milliseconds.
const LIVE_MILLIS: u64 = 60_000;

/// How many bytes of it a thread may take.
const LIVE_BYTES: u64 = 32 * 1024 * 1024;

/// How long, in seconds, a log is kept to which nothing is appended and that nobody ends.
const ABANDONED: u64 = 24 * 3600;

/// Records up to this size are told; larger ones are fetched by who reads.
const TOLD_BYTES: usize = 64 * 1024;

/// How many logs one step of a sweep removes.
const SWEPT: u64 = 500;

/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(2);

/// The pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(20);

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append.lua")));
static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("open.lua")));
static SINCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("since.lua")));
static NOTE_END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("note_end.lua")));
static NOTE_REMOVAL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("note_removal.lua")));
static SWEEP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("sweep.lua")));

/// The threads that are read in this process.
pub(super) type Watched = Arc<Mutex<HashSet<ThreadId>>>;

/// Why something was not done, and whether it may be done all the same: the server was reached, but there is no answer.
#[derive(Debug)]
pub(crate) struct NotDone {
    pub(crate) error: Error,
    pub(crate) unsure: bool,
}

impl From<Error> for NotDone {
    fn from(error: Error) -> Self {
        Self { error, unsure: false }
    }
}

impl From<NotDone> for Error {
    fn from(failure: NotDone) -> Self {
        failure.error
    }
}

/// A log on a Redis server.
pub(crate) struct RedisStore {
    server: Server,
    connection: ConnectionManager,
    keys: Keys,
    retention: Duration,
    /// How long an append is tried.
    patience: Duration,
    /// Whether the log can move elsewhere: then nothing is tried again when nothing listens at the server's address, and nothing is appended after a move.
    moves: bool,
    horizon: Arc<Horizon>,
    /// Whether every thread is taken to be read by someone.
    everyone: AtomicBool,
    watched: Watched,
    changes: UnboundedSender<Change>,
    news: Mutex<Option<UnboundedReceiver<News>>>,
    tasks: [AbortHandle; 2],
}

impl RedisStore {
    /// A log under a prefix of keys. It does not connect yet.
    pub(crate) fn new(url: &str, prefix: &str, retention: Duration, patience: Duration) -> Result<Self> {
        let server = Server::new(url)?;
        let connection = server.connection(patience.min(ANSWER))?;
        let (keys, watched) = (Keys::new(prefix), Watched::default());
        let (changes, changed) = mpsc::unbounded_channel();
        let (tell, news) = mpsc::unbounded_channel();
        let (horizon, everyone) = (Arc::<Horizon>::default(), AtomicBool::new(false));
        let renewal = Renewal::new(connection.clone(), keys.clone(), Arc::clone(&watched), tell.clone());
        let heard = {
            let (keys, horizon, renewal) = (keys.clone(), Arc::clone(&horizon), Arc::clone(&renewal));
            let hearing = Hearing { keys, horizon, renewal, tell };
            move |heard| hearing.hear(heard)
        };
        let tasks = [
            tokio::spawn(subscribe(server.clone(), changed, heard)).abort_handle(),
            tokio::spawn(renewal.run()).abort_handle(),
        ];
        let (news, moves) = (Mutex::new(Some(news)), false);
        Ok(Self {
            server,
            connection,
            keys,
            retention,
            patience,
            moves,
            horizon,
            everyone,
            watched,
            changes,
            news,
            tasks,
        })
    }

    /// With another place for the log, to which it moves when this one fails.
    #[must_use]
    pub(crate) fn that_moves(mut self) -> Self {
        self.moves = true;
        self
    }

    /// Waits for the server's answer.
    pub(crate) async fn ping(&self) -> Result<()> {
        let mut connection = self.connection.clone();
        let answer: RedisResult<redis::Value> = redis::cmd("PING").query_async(&mut connection).await;
        answer.map(drop).map_err(self.server.failed("redis.ping"))
    }

    /// Waits until it is written that the log has moved away, and which move that was: whoever does not know of it yet appends nothing more.
    pub(crate) async fn shut(&self, generation: u64) -> Result<()> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.name("generation")).arg(generation);
        let answer: RedisResult<redis::Value> = set.query_async(&mut self.connection.clone()).await;
        answer.map(drop).map_err(self.server.failed("event_log.move"))
    }

    /// Says that the log is here since this move, which is known by its number, and since this millisecond of its places.
    pub(crate) fn since_move(&self, generation: u64, millis: u64) {
        self.horizon.millis.store(millis, Ordering::Relaxed);
        self.horizon.generation.store(generation, Ordering::Relaxed);
    }

    /// Notes that the log of a run has ended while it was elsewhere.
    pub(crate) async fn note_end(&self, thread_id: ThreadId, run_id: RunId, now: Timestamp) -> Result<()> {
        let mut script = NOTE_END.key(self.keys.thread(thread_id));
        script.key(self.keys.name("ended")).arg(run_id.to_string()).arg(format!("{thread_id} {run_id}"));
        let noted = script.arg(millis(now)).invoke_async(&mut self.connection.clone()).await;
        noted.map_err(self.server.failed("event_log.end"))
    }

    /// Removes what is here of a thread that was removed while the log was elsewhere, unless something was appended since.
    pub(crate) async fn note_removal(&self, thread_id: ThreadId) -> Result<()> {
        let mut script = NOTE_REMOVAL.key(self.keys.thread(thread_id));
        script.key(self.key(thread_id, "live")).key(self.key(thread_id, "told"));
        script.key(self.keys.name("ended")).key(self.keys.name("told"));
        script.arg(thread_id.to_string()).arg(self.horizon.millis.load(Ordering::Relaxed));
        let noted = script.invoke_async(&mut self.connection.clone()).await;
        noted.map_err(self.server.failed("event_log.remove"))
    }

    fn key(&self, thread_id: ThreadId, part: &str) -> String {
        self.keys.of_thread(thread_id, part)
    }

    /// Takes every thread to be read by someone, or not.
    pub(crate) fn assume_readers(&self, everyone: bool) {
        self.everyone.store(everyone, Ordering::Relaxed);
    }

    /// Hears what is appended to a thread from now on.
    pub(crate) fn watch(&self, thread_id: ThreadId) {
        self.watched.lock().insert(thread_id);
        // Without the task that hears channels, events are looked up.
        let _ = self.changes.send(Change::Add(self.keys.thread(thread_id)));
    }

    /// Does something until it is done, for as long as the patience lasts. From the second time on, the server may have done it, and only its answer was lost.
    async fn persistently<T, F>(
        &self,
        operation: &'static str,
        attempt: impl Fn(bool) -> F,
    ) -> std::result::Result<T, NotDone>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let deadline = Instant::now() + self.patience;
        let (mut again, mut unsure) = (false, false);
        loop {
            let error = match timeout_at(deadline, attempt(again)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(late) => {
                    let error = Error::unavailable(operation, "Redis did not answer in time").with_source(late);
                    return Err(NotDone { error, unsure: true });
                }
            };
            let is_gone = error.is_connection_refusal();
            unsure |= !is_gone;
            let error = self.server.failed(operation)(error);
            if (self.moves && is_gone) || !error.is_retryable() || Instant::now() + PAUSE >= deadline {
                return Err(NotDone { error, unsure });
            }
            again = true;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Appends a record, or tells whether that may have been done all the same.
    pub(crate) async fn append_or_tell(&self, write: &Write) -> std::result::Result<Appended, NotDone> {
        const OPERATION: &str = "event_log.append";
        let again = |before| self.try_append(write, write.again || before);
        let answer = self.persistently(OPERATION, again).await?;
        match answer.as_slice() {
            [] => Ok(Appended::Nowhere),
            [late] if late == "late" => Ok(Appended::Late),
            [moved] if moved == "moved" => {
                Err(Error::unavailable(OPERATION, "the event log has moved away from Redis").into())
            }
            [before, last, kept, read] => {
                let (kept, read) = (kept == "1", read == "1");
                Ok(Appended::At { before: place(before)?, last: place(last)?, kept, read, settled: true })
            }
            _ => Err(Error::internal(OPERATION, "the script gave an answer that is none of its own").into()),
        }
    }

    async fn try_append(&self, write: &Write, again: bool) -> RedisResult<Vec<String>> {
        let thread_id = write.thread_id;
        let run_id = write.kind.run_id();
        let run = run_id.map(|run_id| run_id.to_string()).unwrap_or_default();
        let now = millis(write.now);
        let kept_millis = u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX);
        let (first_millis, first_sequence) = numbers(write.first);
        let mut script = APPEND.prepare_invoke();
        script.key(self.keys.thread(thread_id)).key(self.key(thread_id, "live")).key(self.key(thread_id, "told"));
        script.key(self.key(thread_id, &format!("run:{run}"))).key(self.key(thread_id, "watched"));
        script.key(self.keys.name("epoch")).key(self.keys.name("ended")).key(self.keys.name("told"));
        script.key(self.keys.name("generation"));
        script.arg(&[write.kind.code()][..]).arg(run).arg(u8::from(write.keep)).arg(write.attempt);
        script.arg(first_millis).arg(first_sequence).arg(now).arg(write.count);
        script.arg(&write.mark.as_bytes()[..]).arg(u8::from(again)).arg(self.keys.thread(thread_id));
        script.arg(thread_id.to_string()).arg(self.horizon.generation.load(Ordering::Relaxed));
        script.arg(now.saturating_sub(kept_millis)).arg(now.saturating_sub(LIVE_MILLIS)).arg(LIVE_BYTES);
        script
            .arg(ABANDONED)
            .arg(TOLD_BYTES)
            .arg(u8::from(self.everyone.load(Ordering::Relaxed)))
            .arg(u8::from(self.moves))
            .arg(&write.bytes[..]);
        script.invoke_async(&mut self.connection.clone()).await
    }

    async fn range(&self, keys: &[String], after: EventId, until: EventId) -> RedisResult<Vec<Vec<Entry>>> {
        let (after, until) = bounds(after, until);
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.cmd("XRANGE").arg(key).arg(&after).arg(&until).arg("COUNT").arg(PAGE);
        }
        pipeline.query_async(&mut self.connection.clone()).await
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

#[async_trait]
impl LogStore for RedisStore {
    async fn append(&self, write: &Write) -> Result<Appended> {
        Ok(self.append_or_tell(write).await?)
    }

    async fn open(&self, thread_id: ThreadId, run_id: Option<RunId>) -> Result<Opened> {
        self.watch(thread_id);
        let mut script = OPEN.key(self.keys.thread(thread_id));
        script.key(self.key(thread_id, "told")).key(self.key(thread_id, "watched"));
        script.arg(run_id.map(|run_id| run_id.to_string()).unwrap_or_default());
        let open = |_| {
            let (script, mut connection) = (&script, self.connection.clone());
            async move { script.invoke_async(&mut connection).await }
        };
        let (last, ended, kept): (String, bool, bool) = self.persistently("event_log.read", open).await?;
        Ok(Opened { last: place(&last)?, ended, kept, ..Opened::default() })
    }

    fn left(&self, thread_id: ThreadId) {
        self.watched.lock().remove(&thread_id);
        let _ = self.changes.send(Change::Remove(self.keys.thread(thread_id)));
    }

    async fn kept(&self, thread_id: ThreadId, run_id: Option<RunId>, after: EventId, opened: &Opened) -> Result<Page> {
        let failed = self.server.failed("event_log.read");
        let keys = match run_id {
            Some(run_id) => vec![self.keys.run(thread_id, run_id)],
            None => {
                let mut connection = self.connection.clone();
                let fields = redis::cmd("HKEYS").arg(self.keys.thread(thread_id)).query_async(&mut connection).await;
                let fields: Vec<String> = fields.map_err(&failed)?;
                let runs = fields.iter().filter(|field| field.starts_with("run:"));
                runs.map(|run| self.key(thread_id, run)).chain([self.key(thread_id, "told")]).collect()
            }
        };
        merge(self.range(&keys, after, opened.last).await.map_err(failed)?)
    }

    async fn since(&self, thread_id: ThreadId, after: EventId) -> Result<Page> {
        let mut script = SINCE.key(self.keys.thread(thread_id));
        let after = after.max(self.horizon.last());
        script.key(self.key(thread_id, "live")).key(self.key(thread_id, "told")).arg(after.to_string()).arg(PAGE);
        let logs = script.invoke_async(&mut self.connection.clone()).await;
        let mut page = merge(logs.map_err(self.server.failed("event_log.read"))?)?;
        // What was before is not here.
        page.records
            .iter_mut()
            .filter(|record| self.horizon.is_beyond(record.before))
            .for_each(|record| record.before = EventId::ZERO);
        Ok(page)
    }

    async fn lasts(&self, threads: &[ThreadId]) -> Result<Vec<EventId>> {
        let mut pipeline = redis::pipe();
        for thread_id in threads {
            pipeline.cmd("HGET").arg(self.keys.thread(*thread_id)).arg("last");
        }
        let lasts = pipeline.query_async(&mut self.connection.clone()).await;
        let lasts: Vec<Option<String>> = lasts.map_err(self.server.failed("event_log.read"))?;
        let place = |last: Option<String>| last.map_or(Ok(EventId::ZERO), |last| place(&last));
        let here = |last| if self.horizon.is_beyond(last) { EventId::ZERO } else { last };
        lasts.into_iter().map(|last| place(last).map(here)).collect()
    }

    async fn sweep(&self, now: Timestamp, retention: Duration) -> Result<u64> {
        let moment = millis(now).saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX));
        let mut swept = 0;
        loop {
            let mut script = SWEEP.key(self.keys.name("ended"));
            script.key(self.keys.name("told")).arg(self.keys.name("thread:")).arg(moment).arg(SWEPT);
            let some = script.invoke_async(&mut self.connection.clone()).await;
            let some: u64 = some.map_err(self.server.failed("event_log.sweep"))?;
            swept += some;
            if some < SWEPT {
                return Ok(swept);
            }
        }
    }

    fn news(&self) -> UnboundedReceiver<News> {
        self.news.lock().take().unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}
