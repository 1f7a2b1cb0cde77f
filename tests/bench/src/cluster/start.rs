//! The time from enqueue to start on an idle system. One process enqueues, another executes, and only Redis carries the
//! hint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::BoxStream;
use langopen_core::executor::{GraphInfo, RunJob, RunOutput};
use langopen_core::{Executor, Queue, RunId, Scope};
use langopen_worker::{Worker, WorkerSettings};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Environment, empty, new_run, open};
use crate::bar::Bar;
use crate::error::{Error, Result};
use crate::quantiles::Quantiles;
use crate::report::Found;

const P50_MS: f64 = 5.0;
const P99_MS: f64 = 25.0;
const P99_WITHOUT_REDIS_MS: f64 = 1200.0;
/// The worker polls once a second. This pause keeps the samples out of step with it.
const PAUSE: Duration = Duration::from_millis(37);
const TO_START: Duration = Duration::from_secs(30);

pub(super) async fn measure(environment: &Environment) -> Result<Found> {
    let mut found = Found::default();
    let database = environment.databases.make("start").await?;
    let own = environment.redis.another(&environment.folder.join("start")).await?;
    let redis = own.as_ref().unwrap_or(&environment.redis);
    let (started, mut starts) = mpsc::unbounded_channel();
    let backend = empty::backend(&database, &redis.url).await?;
    let (queue, _) = open::open(&database, &redis.url).await?;
    let stop = CancellationToken::new();
    let worker =
        tokio::spawn(Worker::new(backend, Arc::new(Started(started)), WorkerSettings::default()).run(stop.clone()));

    sample(&queue, &mut starts, 50).await?;
    let with = sample(&queue, &mut starts, if environment.quick { 300 } else { 1000 }).await?;
    found.figure("enqueue to start, p50", with.p50, "ms");
    found.figure("enqueue to start, p99", with.p99, "ms");
    found.bars.extend([
        Bar::at_most("enqueue to start: p50", Some(with.p50), Some(P50_MS), "ms"),
        Bar::at_most("enqueue to start: p99", Some(with.p99), Some(P99_MS), "ms"),
    ]);
    let without = match &own {
        None => None,
        Some(redis) => {
            redis.stop().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            Some(sample(&queue, &mut starts, if environment.quick { 30 } else { 100 }).await?)
        }
    };
    if let Some(without) = without {
        found.figure("enqueue to start, Redis stopped, p50", without.p50, "ms");
    }
    let p99 = without.map(|without| without.p99);
    found.bars.push(Bar::at_most("enqueue to start, Redis stopped: p99", p99, Some(P99_WITHOUT_REDIS_MS), "ms"));
    stop.cancel();
    worker.await.map_err(|error| Error::Option(format!("the worker: {error}")))?;
    queue.close().await;
    Ok(found)
}

/// Enqueues one run after another, each on a new thread.
async fn sample(
    queue: &impl Queue,
    starts: &mut mpsc::UnboundedReceiver<(RunId, Instant)>,
    count: usize,
) -> Result<Quantiles> {
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        tokio::time::sleep(PAUSE).await;
        let run = new_run::on(new_run::thread());
        let (run_id, began) = (run.run_id, Instant::now());
        queue.enqueue(&Scope::default(), run).await?;
        let start = tokio::time::timeout(TO_START, starts.recv()).await;
        match start {
            Ok(Some((started, at))) if started == run_id => samples.push(at - began),
            Ok(_) => return Err(Error::Option("another run started than was enqueued".into())),
            Err(_) => {
                let problem = format!("after {} samples, a run did not start within {TO_START:?}", samples.len());
                return Err(Error::Option(problem));
            }
        }
    }
    Quantiles::of(&mut samples).ok_or_else(|| Error::Option("no samples".into()))
}

/// An executor that reports the start of each run.
struct Started(mpsc::UnboundedSender<(RunId, Instant)>);

#[async_trait]
impl Executor for Started {
    async fn graphs(&self) -> langopen_core::Result<Vec<GraphInfo>> {
        Ok(vec![empty::graph()])
    }

    async fn execute(
        &self,
        job: RunJob,
    ) -> langopen_core::Result<BoxStream<'static, langopen_core::Result<RunOutput>>> {
        // The receiver is gone only after the measurement has failed.
        let _ = self.0.send((job.run.run_id, Instant::now()));
        Ok(empty::done())
    }
}
