//! Clients that repeat rounds for a set time.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;

use super::scenario::{Scenario, Work};
use crate::error::{Error, Result};
use crate::quantiles::Quantiles;

/// The most time for rounds that are under way when the time is up.
const GRACE: Duration = Duration::from_secs(10);
/// The pause of a client after a failure, so that it does not spin if the server refuses everything.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// The number of clients and the duration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// The figures of one measurement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measure {
    pub(crate) scenario: Scenario,
    pub(crate) clients: usize,
    /// The number of rounds that began after the warm-up and succeeded. The quantiles cover these.
    pub(crate) n: usize,
    /// Rounds per second that ended inside the window. For held streams: rounds per second until the last one ended.
    pub(crate) per_s: f64,
    /// The time of a round.
    pub(crate) ms: Option<Quantiles>,
    /// For streams, the time to the first event after `metadata`.
    pub(crate) first_ms: Option<Quantiles>,
    /// For streams, the number of events in those rounds.
    pub(crate) events: u64,
    pub(crate) errors: u64,
    pub(crate) last_error: Option<String>,
}

#[derive(Default)]
struct Samples {
    total: Vec<Duration>,
    first: Vec<Duration>,
    events: u64,
    ended_inside: u64,
    errors: u64,
    last_error: Option<String>,
}

/// Runs the closed loops to their end.
pub(crate) async fn run(work: Work, load: Load) -> Measure {
    // Held streams are opened only once, so there is nothing to warm up.
    let warm_up = if work.scenario == Scenario::Hold { Duration::ZERO } else { load.warm_up };
    let from = Instant::now() + warm_up;
    let until = from + load.window;
    let clients = join_all((0..load.clients).map(|_| client(&work, from, until))).await;
    let mut all = Samples::default();
    for one in clients {
        all.total.extend(one.total);
        all.first.extend(one.first);
        all.events += one.events;
        all.ended_inside += one.ended_inside;
        all.errors += one.errors;
        all.last_error = one.last_error.or(all.last_error);
    }
    // Held streams run to their end, beyond the window.
    let (ended, seconds) = match work.scenario {
        Scenario::Hold => (all.total.len() as u64, (Instant::now() - from).as_secs_f64()),
        _ => (all.ended_inside, load.window.as_secs_f64()),
    };
    Measure {
        scenario: work.scenario,
        clients: load.clients,
        n: all.total.len(),
        per_s: ended as f64 / seconds,
        ms: Quantiles::of(&mut all.total),
        first_ms: Quantiles::of(&mut all.first),
        events: all.events,
        errors: all.errors,
        last_error: all.last_error,
    }
}

async fn client(work: &Work, from: Instant, until: Instant) -> Samples {
    let mut samples = Samples::default();
    loop {
        let start = Instant::now();
        if start >= until {
            return samples;
        }
        match within(until + GRACE, work.round()).await {
            Ok(streamed) => {
                let end = Instant::now();
                samples.ended_inside += u64::from(end >= from && end < until);
                if start >= from {
                    samples.total.push(end - start);
                    samples.first.extend(streamed.map(|streamed| streamed.first));
                    samples.events += streamed.map_or(0, |streamed| streamed.events);
                }
            }
            Err(error) => {
                samples.errors += 1;
                samples.last_error = Some(error.to_string());
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
        if work.scenario == Scenario::Hold {
            return samples;
        }
    }
}

async fn within<T>(deadline: Instant, round: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout_at(deadline.into(), round).await {
        Ok(result) => result,
        Err(_) => Err(Error::Late(GRACE)),
    }
}
