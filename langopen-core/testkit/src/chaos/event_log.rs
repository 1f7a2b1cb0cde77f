use async_trait::async_trait;
use langopen_core::error::Result;
use langopen_core::event_log::{EventLog, EventStream, LogKey, NewEvent, ReadFrom};
use langopen_core::ids::ThreadId;

use super::Chaotic;
use super::streams::{Break, broken};

#[async_trait]
impl<T: EventLog + ?Sized> EventLog for Chaotic<T> {
    async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        self.call("event_log.append", self.inner.append(log, attempt, resumable, events)).await
    }

    async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()> {
        self.call("event_log.append_to_thread", self.inner.append_to_thread(thread_id, events)).await
    }

    async fn end(&self, log: LogKey) -> Result<()> {
        self.call("event_log.end", self.inner.end(log)).await
    }

    async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream> {
        let stream = self.call("event_log.read", self.inner.read(log, from)).await?;
        Ok(broken(&self.chaos, "event_log.reader", Break::Error, stream))
    }

    async fn begin(&self, log: LogKey) -> Result<EventStream> {
        let stream = self.call("event_log.begin", self.inner.begin(log)).await?;
        Ok(broken(&self.chaos, "event_log.reader", Break::Error, stream))
    }

    async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream> {
        let stream = self.call("event_log.read_thread", self.inner.read_thread(thread_id, from)).await?;
        Ok(broken(&self.chaos, "event_log.reader", Break::Error, stream))
    }

    async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()> {
        self.call("event_log.remove", self.inner.remove_threads(threads)).await
    }

    async fn sweep(&self) -> Result<u64> {
        self.call("event_log.sweep", self.inner.sweep()).await
    }
}
