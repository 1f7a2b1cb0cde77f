use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use langopen_core::event_log::{EventId, EventLog, EventStream, LogKey, NewEvent, ReadFrom};
use langopen_core::{Clock, Result, RunId, ThreadId};
use parking_lot::Mutex;

use crate::thread_log::ThreadLog;

/// The event log. It keeps the events of a resumable run until some time after its end.
pub struct MyEventLog {
    clock: Arc<dyn Clock>,
    retention: Duration,
    logs: Mutex<Logs>,
}

#[derive(Default)]
struct Logs {
    threads: BTreeMap<ThreadId, ThreadLog>,
    /// The greatest id of the logs that were removed. A thread whose log begins anew continues after it, so its ids
    /// rise even if the clock was set back.
    floor: EventId,
}

impl Logs {
    fn of(&mut self, thread_id: ThreadId) -> &mut ThreadLog {
        self.threads.entry(thread_id).or_insert_with(|| ThreadLog::new(self.floor))
    }

    fn remove(&mut self, removed: impl Fn(&ThreadId, &ThreadLog) -> bool) {
        for (_, log) in self.threads.extract_if(.., |thread_id, log| removed(thread_id, log)) {
            self.floor = self.floor.max(log.last);
        }
    }
}

impl MyEventLog {
    /// An empty log that keeps the events of an ended run for `retention`.
    pub fn new(clock: Arc<dyn Clock>, retention: Duration) -> Self {
        Self { clock, retention, logs: Mutex::default() }
    }

    fn stream(&self, thread_id: ThreadId, run_id: Option<RunId>, from: ReadFrom) -> EventStream {
        let (kept, live) = self.logs.lock().of(thread_id).read(run_id, from);
        stream::iter(kept.into_iter().map(Ok)).chain(live).boxed()
    }
}

#[async_trait]
impl EventLog for MyEventLog {
    async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        let mut logs = self.logs.lock();
        logs.of(log.thread_id).append(log.run_id, attempt, resumable, events, self.clock.now())
    }

    async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()> {
        self.logs.lock().of(thread_id).add(None, true, events, self.clock.now());
        Ok(())
    }

    async fn end(&self, log: LogKey) -> Result<()> {
        self.logs.lock().of(log.thread_id).end(log.run_id, self.clock.now());
        Ok(())
    }

    async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream> {
        Ok(self.stream(log.thread_id, Some(log.run_id), from))
    }

    async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream> {
        Ok(self.stream(thread_id, None, from))
    }

    async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()> {
        self.logs.lock().remove(|thread_id, _| threads.contains(thread_id));
        Ok(())
    }

    async fn sweep(&self) -> Result<u64> {
        let (mut logs, now) = (self.logs.lock(), self.clock.now());
        let removed = logs.threads.values_mut().map(|log| log.sweep(now, self.retention)).sum();
        logs.remove(|_, log| log.is_idle());
        Ok(removed)
    }
}
