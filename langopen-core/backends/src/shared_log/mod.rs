//! The event log of many processes, over a store that they share.
//!
//! The store gives records their places and keeps them; here is what every such log does alike: who reads in this process, replaying and then going on
//! live, and the doubt about everything that is told rather than looked up.

mod batch;
mod follow;
mod marks;
mod replay;
mod store;
mod turns;
mod watches;

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::try_join_all;
use tokio::task::AbortHandle;

#[cfg(test)]
pub(crate) use batch::encode;
pub(crate) use batch::{Kind, Record, Write};
pub(crate) use store::{Appended, LogStore, News, Opened, Page};

use langopen_core::clock::{Clock, Timestamp};
use langopen_core::error::Result;
use langopen_core::event_log::{EventStream, LogKey, NewEvent, ReadFrom, late, run_done};
use langopen_core::ids::{IdSource, RunId, SystemIds, ThreadId};

use marks::Marks;
use replay::Replay;
use turns::Turns;
use watches::Watches;

/// How many threads are removed at the same time.
const TOGETHER: usize = 64;

/// An event log over a store that processes share.
pub(crate) struct SharedLog<S> {
    store: Arc<S>,
    watches: Arc<Watches>,
    turns: Turns,
    clock: Arc<dyn Clock>,
    tasks: [AbortHandle; 2],
}

/// Milliseconds since the Unix epoch, for a place.
pub(crate) fn millis(now: Timestamp) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(0)
}

impl<S: LogStore> SharedLog<S> {
    /// Over this store. It looks after its readers in the runtime that it is made in.
    pub(crate) fn new(store: Arc<S>, clock: Arc<dyn Clock>) -> Self {
        let leaving = Arc::clone(&store);
        let watches = Arc::new(Watches::new(move |thread_id| leaving.left(thread_id)));
        let listen = tokio::spawn(follow::listen(Arc::clone(&watches), store.news()));
        let verify = tokio::spawn(follow::verify(Arc::clone(&watches), Arc::clone(&store)));
        let tasks = [listen.abort_handle(), verify.abort_handle()];
        Self { store, watches, turns: Turns::default(), clock, tasks }
    }

    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    async fn write(
        &self,
        thread_id: ThreadId,
        kind: Kind,
        attempt: u32,
        keep: bool,
        events: &[NewEvent],
    ) -> Result<()> {
        let mark = SystemIds.random();
        let bytes = batch::encode(kind, mark, events)?;
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX).max(1);
        let mut turn = self.turns.of(thread_id).await;
        let now = self.clock.now();
        let first = turn.next(millis(now));
        let write = Write {
            thread_id,
            kind,
            attempt,
            keep,
            mark,
            count,
            first,
            follows: *turn,
            now,
            again: false,
            copy_after: None,
            unsure: false,
            bytes: bytes.clone(),
        };
        match (self.store.append(&write).await?, kind) {
            (Appended::At { before, last, settled, .. }, _) => {
                *turn = last.max(*turn);
                if settled {
                    // While it is our turn, so that readers here get what is said here in order and at once.
                    self.watches.take(thread_id, Record::decode(before, last, bytes)?);
                } else {
                    self.watches.look(thread_id);
                }
                Ok(())
            }
            (Appended::Late, Kind::Run(run_id)) => Err(late(run_id, attempt)),
            (Appended::Late | Appended::Nowhere, _) => Ok(()),
        }
    }

    pub(crate) async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(log.thread_id, Kind::Run(log.run_id), attempt, resumable, &events).await
    }

    pub(crate) async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(thread_id, Kind::Thread, 0, true, &events).await
    }

    pub(crate) async fn end(&self, log: LogKey) -> Result<()> {
        self.write(log.thread_id, Kind::End(log.run_id), 0, false, &[run_done(log.run_id)]).await
    }

    pub(crate) async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream> {
        self.open(log.thread_id, Some(log.run_id), from).await
    }

    pub(crate) async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream> {
        self.open(thread_id, None, from).await
    }

    async fn open(&self, thread_id: ThreadId, run_id: Option<RunId>, from: ReadFrom) -> Result<EventStream> {
        // First the place among the live readers, then where it begins: so nothing passes between the two.
        let (live, _) = self.watches.enter(thread_id, run_id);
        let mut opened = self.store.open(thread_id, run_id).await?;
        if opened.last < self.watches.begin(thread_id, opened.last) {
            // Another reader began a moment later, and what comes is handed out from there on.
            opened = self.store.open(thread_id, run_id).await?;
        }
        let (seen, replaying) = match from {
            ReadFrom::Now => (opened.last, false),
            ReadFrom::After(seen) => (seen, opened.kept && seen < opened.last.max(opened.elsewhere)),
        };
        let live = (!opened.ended).then_some(live);
        let (store, marks, page) = (Arc::clone(&self.store), Marks::default(), VecDeque::new());
        let mut replay = Replay { store, thread_id, run_id, after: seen, seen, opened, marks, page, replaying, live };
        // A reader that waits for a store that is away is silent, and silence after the end of a run is taken for the end of its log. So the store has answered
        // before there is a reader.
        if replaying {
            replay.turn_page().await?;
        }
        Ok(replay.stream())
    }

    pub(crate) async fn begin(&self, log: LogKey) -> Result<EventStream> {
        let (live, known) = self.watches.enter(log.thread_id, Some(log.run_id));
        if known {
            // The run has said nothing yet, so any place on its thread is before it.
            return Ok(live.boxed());
        }
        let opened = self.store.open(log.thread_id, Some(log.run_id)).await?;
        self.watches.begin(log.thread_id, opened.last);
        Ok(live.boxed())
    }

    pub(crate) async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()> {
        for some in threads.chunks(TOGETHER) {
            try_join_all(some.iter().map(|thread_id| self.write(*thread_id, Kind::Removed, 0, false, &[]))).await?;
        }
        Ok(())
    }
}

impl<S> Drop for SharedLog<S> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Implements [`EventLog`](langopen_core::EventLog) for a type whose field `log` is an `Arc<SharedLog<_>>`, and that has a `retention` and a `clock`.
macro_rules! event_log {
    ($log:ty) => {
        #[async_trait::async_trait]
        impl langopen_core::event_log::EventLog for $log {
            async fn append(
                &self,
                log: langopen_core::event_log::LogKey,
                attempt: u32,
                resumable: bool,
                events: Vec<langopen_core::event_log::NewEvent>,
            ) -> langopen_core::Result<()> {
                self.log.append(log, attempt, resumable, events).await
            }

            async fn append_to_thread(
                &self,
                thread_id: langopen_core::ThreadId,
                events: Vec<langopen_core::event_log::NewEvent>,
            ) -> langopen_core::Result<()> {
                self.log.append_to_thread(thread_id, events).await
            }

            async fn end(&self, log: langopen_core::event_log::LogKey) -> langopen_core::Result<()> {
                self.log.end(log).await
            }

            async fn read(
                &self,
                log: langopen_core::event_log::LogKey,
                from: langopen_core::event_log::ReadFrom,
            ) -> langopen_core::Result<langopen_core::event_log::EventStream> {
                self.log.read(log, from).await
            }

            async fn begin(
                &self,
                log: langopen_core::event_log::LogKey,
            ) -> langopen_core::Result<langopen_core::event_log::EventStream> {
                self.log.begin(log).await
            }

            async fn read_thread(
                &self,
                thread_id: langopen_core::ThreadId,
                from: langopen_core::event_log::ReadFrom,
            ) -> langopen_core::Result<langopen_core::event_log::EventStream> {
                self.log.read_thread(thread_id, from).await
            }

            async fn remove_threads(&self, threads: &[langopen_core::ThreadId]) -> langopen_core::Result<()> {
                self.log.remove_threads(threads).await
            }

            async fn sweep(&self) -> langopen_core::Result<u64> {
                $crate::shared_log::LogStore::sweep(self.log.store(), self.clock.now(), self.retention).await
            }
        }
    };
}
pub(crate) use event_log;
