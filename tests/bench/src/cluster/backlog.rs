//! Measures whether a long queue on one thread slows the claims of other threads.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use langopen_core::model::ThreadStatus;
use langopen_core::queue::{ClaimRequest, Outcome};
use langopen_core::{Queue, RawJson, RunStatus, Scope};
use serde_json::json;

use super::{Environment, new_run, open};
use crate::bar::Bar;
use crate::error::Result;
use crate::report::Found;

/// The number of runs that wait on one thread.
const QUEUED: usize = 20_000;
/// The number of runs of other threads.
const OTHERS: usize = 2_000;
/// The most that claims may be slower with the backlog, as a factor.
const SLOWER: f64 = 1.2;
const AT_ONCE: usize = 32;
/// The rounds in which both queues are measured alternately, so that other load on the machine affects both.
const ROUNDS: usize = 7;
const LEASE: Duration = Duration::from_secs(60);

pub(super) async fn measure(environment: &Environment) -> Result<Found> {
    let (empty, full) = (environment.databases.make("no_backlog").await?, environment.databases.make("backlog").await?);
    let (empty, _) = open::open(&empty, &environment.redis.url).await?;
    let (full, _) = open::open(&full, &environment.redis.url).await?;
    let thread = new_run::thread();
    // Claim the thread's first run, so that the others wait for it.
    enqueue(&full, 1, || thread).await?;
    let held = full.claim(&ClaimRequest::new("holder", 1, LEASE * 60)).await?;
    enqueue(&full, QUEUED, || thread).await?;
    // The first cycles warm up the caches of both.
    cycles(&empty).await?;
    cycles(&full).await?;
    let (mut alone, mut behind) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        alone.push(cycles(&empty).await?);
        behind.push(cycles(&full).await?);
    }
    drop(held);
    empty.close().await;
    full.close().await;
    let (alone, behind) = (median(alone), median(behind));
    let mut found = Found::default();
    found.figure("cycles of other threads, without a backlog", alone, "/s");
    found.figure(format!("cycles of other threads, {QUEUED} runs queued on one"), behind, "/s");
    let slower = Some(alone / behind);
    found.bars.push(Bar::at_most(
        "cycles of others: time with the backlog, of that without",
        slower,
        Some(SLOWER),
        "x",
    ));
    Ok(found)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// The number of runs per second that are enqueued, claimed and ended.
async fn cycles(queue: &impl Queue) -> Result<f64> {
    let began = Instant::now();
    enqueue(queue, OTHERS, new_run::thread).await?;
    let mut ended = 0;
    while ended < OTHERS {
        let claims = queue.claim(&ClaimRequest::new("bench", AT_ONCE, LEASE)).await?;
        let finishes = claims.runs.iter().map(|claim| queue.finish(claim.lease(), outcome()));
        ended += try_join_all(finishes).await?.len();
    }
    Ok(OTHERS as f64 / began.elapsed().as_secs_f64())
}

async fn enqueue(queue: &impl Queue, count: usize, thread: impl Fn() -> langopen_core::ThreadId) -> Result<()> {
    let scope = Scope::default();
    let mut left = count;
    while left > 0 {
        let some = left.min(AT_ONCE);
        try_join_all((0..some).map(|_| queue.enqueue(&scope, new_run::on(thread())))).await?;
        left -= some;
    }
    Ok(())
}

fn outcome() -> Outcome {
    Outcome {
        status: RunStatus::Success,
        thread_status: ThreadStatus::Idle,
        error: None,
        interrupts: RawJson::from(json!({})),
        state: None,
        values: None,
        rollback: false,
    }
}
