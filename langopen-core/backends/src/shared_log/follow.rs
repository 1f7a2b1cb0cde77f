//! Keeping the readers of this process up to date: by hints from other processes, and by looking, because hints may be
//! lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use langopen_core::error::Result;
use langopen_core::event_log::EventId;
use langopen_core::ids::ThreadId;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

use super::store::{LogStore, News};
use super::watches::Watches;

/// The process looks up each thread that it reads once a second: a part of them each time, so that many threads make no
/// burst.
const PARTS: usize = 10;
const LOOK_EVERY: Duration = Duration::from_millis(1000 / PARTS as u64);

/// How many threads one query looks up.
const TOGETHER: usize = 500;

/// How many threads are fetched at the same time.
const FETCHES: usize = 8;

/// Takes the hints of other processes, until there will be none.
pub(super) async fn listen(watches: Arc<Watches>, mut news: UnboundedReceiver<News>) {
    while let Some(news) = news.recv().await {
        match news {
            News::Record(thread_id, record) => watches.take(thread_id, record),
            News::Look(thread_id) => watches.look(thread_id),
            News::LookEverywhere => watches.look_everywhere(),
            News::Missed => {
                warn!(
                    "the event log took this process for dead, so events may be missing; its readers must read again"
                );
                watches.fail_all();
            }
        }
    }
}

/// Looks up doubtful threads at once, and all threads every second.
pub(super) async fn verify<S: LogStore>(watches: Arc<Watches>, store: Arc<S>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut parts = (0..PARTS).cycle();
    loop {
        tokio::select! {
            () = watches.doubts.notified() => {}
            _ = ticks.tick() => parts.next().into_iter().for_each(|part| watches.look_at(part, PARTS)),
        }
        for threads in watches.doubtful().chunks(TOGETHER) {
            if let Err(error) = look_up(&watches, &*store, threads).await {
                // The next look comes within a second.
                debug!(%error, "the event log cannot be looked up just now");
                break;
            }
        }
    }
}

async fn look_up<S: LogStore>(watches: &Watches, store: &S, threads: &[(ThreadId, EventId)]) -> Result<()> {
    let moved = store.moved(threads).await?;
    let seen: HashMap<_, _> = threads.iter().copied().collect();
    let (behind, ahead): (Vec<_>, Vec<_>) =
        moved.into_iter().partition(|(thread_id, last)| seen.get(thread_id).is_some_and(|seen| seen < last));
    for (thread_id, last) in ahead {
        // The store has seen every record that a reader has. If its last position is lower, a crash has lost records
        // that were not kept.
        if let Some(seen) = seen.get(&thread_id) {
            watches.rewind(thread_id, *seen, last);
        }
    }
    futures::stream::iter(behind)
        .for_each_concurrent(FETCHES, async |(thread_id, last)| {
            if let Err(error) = catch_up(watches, store, thread_id, last).await {
                warn!(thread.id = %thread_id, %error, "a thread's events cannot be fetched; trying again");
            }
        })
        .await;
    Ok(())
}

/// Fetches the records of a thread up to `last`, and maybe more.
async fn catch_up<S: LogStore>(watches: &Watches, store: &S, thread_id: ThreadId, last: EventId) -> Result<()> {
    let Some(mut after) = watches.seen(thread_id) else { return Ok(()) };
    while after < last {
        let page = store.since(thread_id, after).await?;
        let end = page.records.last().map(|record| record.last);
        watches.take_fetched(thread_id, after, page.records);
        match end {
            Some(end) if page.more => after = end,
            Some(end) if end >= last => break,
            // The thread's last record is no longer there.
            _ => {
                watches.skip(thread_id, last);
                break;
            }
        }
    }
    Ok(())
}
