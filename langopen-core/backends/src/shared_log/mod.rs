//! The event log of many processes, over a store that they share.
//!
//! The store orders the records of each thread and keeps them. This module does the rest: it appends ([`append`]),
//! tracks who reads in this process ([`watches`]), replays kept records before live ones ([`replay`]), and doubts every
//! hint from other processes ([`follow`]).

mod append;
mod batch;
mod copy;
mod follow;
mod replay;
mod store;
mod turns;
mod watches;

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::try_join_all;
use tokio::task::AbortHandle;

pub(crate) use append::{Answer, Proposal, ThreadState, millis};
#[cfg(test)]
pub(crate) use batch::encode;
pub(crate) use batch::{Kind, Record};
pub(crate) use copy::{decode_copy, encode_copy};
pub(crate) use store::{LogStore, News, Opened, Page};

use langopen_core::clock::Clock;
use langopen_core::error::Result;
use langopen_core::event_log::{EventStream, LogKey, NewEvent, ReadFrom, run_done};
use langopen_core::ids::{IdSource, RunId, SystemIds, ThreadId};

use append::Append;
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

impl<S: LogStore> SharedLog<S> {
    /// A log over this store. Its tasks run in the current runtime.
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
        resumable: bool,
        events: &[NewEvent],
    ) -> Result<()> {
        let mark = SystemIds.random();
        let (bytes, count) = (batch::encode(kind, mark, events)?, events.len().max(1) as u64);
        let append = Append { thread_id, kind, attempt, resumable, mark, count, bytes };
        let mut tail = self.turns.of(thread_id).await;
        loop {
            let Some(proposal) = tail.propose(&append, self.clock.now())? else { return Ok(()) };
            match self.store.append(&proposal).await? {
                Answer::Unwanted => return Ok(()),
                Answer::Refused(state) if !state.done => tail.learn(kind.run_id(), state),
                Answer::Taken | Answer::Refused(_) => {
                    tail.took(&proposal);
                    // The call still has its turn, so readers in this process get the records in order and at once.
                    let record = Record::decode(proposal.before, proposal.last, proposal.bytes)?;
                    self.watches.take(thread_id, record);
                    return Ok(());
                }
            }
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
        // The reader joins the live readers before it learns where it begins, so no record passes in between.
        let (live, _) = self.watches.enter(thread_id, run_id);
        let mut opened = self.store.open(thread_id, run_id).await?;
        if opened.last < self.watches.begin(thread_id, opened.last) {
            // Another reader began a moment later, and records are handed out from its position on.
            opened = self.store.open(thread_id, run_id).await?;
        }
        let (seen, replaying) = match from {
            ReadFrom::Now => (opened.last, false),
            ReadFrom::After(seen) => (seen, opened.kept && seen < opened.last),
        };
        let live = (!opened.ended).then_some(live);
        let (store, page) = (Arc::clone(&self.store), VecDeque::new());
        let mut replay = Replay { store, thread_id, run_id, after: seen, seen, opened, page, replaying, live };
        // A caller takes a silent reader of an ended run for one that has everything. So the store answers before there
        // is a reader.
        if replaying {
            replay.turn_page().await?;
        }
        Ok(replay.stream())
    }

    pub(crate) async fn begin(&self, log: LogKey) -> Result<EventStream> {
        let (live, known) = self.watches.enter(log.thread_id, Some(log.run_id));
        if known {
            // The run has no events yet, so any position of its thread is before them.
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
