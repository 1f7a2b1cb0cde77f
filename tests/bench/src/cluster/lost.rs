//! The time for which a run stands still after its worker or runner is killed.

use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::Environment;
use super::platform::Platform;
use crate::bar::Bar;
use crate::client::{Events, text};
use crate::error::{Error, Result};
use crate::report::Found;

/// The default lease, plus the second between two looks of other workers for expired leases.
const WORKER_MS: f64 = 11_000.0;
const RUNNER_MS: f64 = 1_000.0;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(environment: &Environment) -> Result<Found> {
    let mut platform = Platform::start(environment, "lost", 2, 2, 1).await?;
    let worker = standstill(&mut platform, Victim::Worker).await?;
    let runner = standstill(&mut platform, Victim::Runner).await?;
    platform.stop().await;
    let mut found = Found::default();
    found.bars.extend([
        Bar::at_most("a worker is killed: its run continues after", Some(worker), Some(WORKER_MS), "ms"),
        Bar::at_most("a runner is killed: its run continues after", Some(runner), Some(RUNNER_MS), "ms"),
    ]);
    Ok(found)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Worker,
    Runner,
}

/// Starts a long run, kills its worker or runner, and waits until its graph reports its process again. Returns the
/// milliseconds.
async fn standstill(platform: &mut Platform, victim: Victim) -> Result<f64> {
    let thread = platform.client.create_thread().await?;
    let body = json!({
        "assistant_id": "patient", "input": {"messages": []}, "stream_mode": ["custom"], "stream_resumable": true,
    });
    let path = format!("/threads/{thread}/runs");
    let run = platform.client.call_json(Method::POST, &path, Some(body.to_string().into())).await?;
    let run_id = text(&run, "POST /threads/{id}/runs", "run_id")?;
    let mut events = platform.client.opened(format!("{path}/{run_id}/stream"), Some("0-0")).await?;
    let first = processes(&mut events).await?;
    let pid = match victim {
        Victim::Runner => u32::try_from(first["runner"].as_u64().unwrap_or_default()).unwrap_or_default(),
        Victim::Worker => worker_of(platform, &run_id).await?,
    };
    let began = Instant::now();
    if !platform.kill(pid) {
        return Err(Error::Option(format!("no {victim:?} of this benchmark has the process id {pid}")));
    }
    let second = processes(&mut events).await?;
    let took = began.elapsed();
    if victim == Victim::Runner && second["runner"] == first["runner"] {
        return Err(Error::Option("the run did not move to another runner".into()));
    }
    platform.client.call(Method::POST, &format!("{path}/{run_id}/cancel"), None).await?;
    Ok(took.as_micros() as f64 / 1000.0)
}

/// The process ids that the graph reports.
async fn processes(events: &mut Events) -> Result<Value> {
    let found = async {
        while let Some(event) = events.next().await {
            let (name, data) = event?;
            if name == "custom" {
                return Ok(data);
            }
        }
        Err(Error::Option("the run's stream ended".into()))
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .map_err(|_| Error::Option(format!("the run did not continue within {PATIENCE:?}")))?
}

/// The process that holds the run's lease. A worker's name ends with its process id.
async fn worker_of(platform: &Platform, run_id: &str) -> Result<u32> {
    let mut connection = PgConnection::connect(&platform.database).await.map_err(Error::Database)?;
    let owner: String = sqlx::query_scalar("SELECT lease_owner FROM runs WHERE run_id = $1::uuid")
        .bind(run_id)
        .fetch_one(&mut connection)
        .await
        .map_err(Error::Database)?;
    let pids = platform.worker_pids();
    let held =
        pids.into_iter().find(|pid| owner.split(|c: char| !c.is_ascii_digit()).any(|part| part == pid.to_string()));
    held.ok_or_else(|| Error::Option(format!("no worker of this benchmark is named {owner}")))
}
