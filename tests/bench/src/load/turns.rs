//! Threads with many turns: the dependence of a turn's time on the number of earlier turns.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::quantiles::Quantiles;

/// The figures of the threads.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Turns {
    /// The number of threads at the same time.
    pub(crate) clients: usize,
    /// The number of threads that completed all turns.
    pub(crate) complete: usize,
    /// For each turn, the median over the threads, in milliseconds.
    pub(crate) turn_ms: Vec<f64>,
    pub(crate) errors: u64,
    pub(crate) last_error: Option<String>,
}

struct Thread {
    turns: Vec<Duration>,
    error: Option<String>,
}

/// Runs `threads` threads of `turns` turns, `clients` of them at the same time, for at most `limit`.
pub(crate) async fn run(client: &Client, clients: usize, threads: usize, turns: usize, limit: Duration) -> Turns {
    let until = Instant::now() + limit;
    let done: Vec<Thread> =
        stream::iter(0..threads).map(|_| thread(client, turns, until)).buffer_unordered(clients).collect().await;
    let mut medians = Vec::with_capacity(turns);
    for turn in 0..turns {
        let mut samples: Vec<Duration> = done.iter().filter_map(|thread| thread.turns.get(turn).copied()).collect();
        medians.extend(Quantiles::of(&mut samples).map(|quantiles| quantiles.p50));
    }
    Turns {
        clients,
        complete: done.iter().filter(|thread| thread.turns.len() == turns).count(),
        turn_ms: medians,
        errors: done.iter().filter(|thread| thread.error.is_some()).count() as u64,
        last_error: done.iter().find_map(|thread| thread.error.clone()),
    }
}

async fn thread(client: &Client, turns: usize, until: Instant) -> Thread {
    let body = json!({"assistant_id": "noop", "input": {"messages": [{"role": "user", "content": "hi"}]}});
    let body = Bytes::from(body.to_string());
    let mut thread = Thread { turns: Vec::with_capacity(turns), error: None };
    if Instant::now() >= until {
        return thread;
    }
    let id = match client.create_thread().await {
        Ok(id) => id,
        Err(error) => return Thread { error: Some(error.to_string()), ..thread },
    };
    while thread.turns.len() < turns && Instant::now() < until {
        let start = Instant::now();
        if let Err(error) = client.turn(&id, body.clone()).await {
            return Thread { error: Some(error.to_string()), ..thread };
        }
        thread.turns.push(start.elapsed());
    }
    thread
}

/// The first and the last turn's value on the straight line through the turns' times (least squares). One outlier moves
/// the line little. `None` with fewer than two turns.
pub(crate) fn fitted(turn_ms: &[f64]) -> Option<(f64, f64)> {
    let n = turn_ms.len() as f64;
    if n < 2.0 {
        return None;
    }
    let (middle, mean) = ((n - 1.0) / 2.0, turn_ms.iter().sum::<f64>() / n);
    let offsets = || (0..turn_ms.len()).map(|turn| turn as f64 - middle);
    let spread: f64 = offsets().map(|x| x * x).sum();
    let slope = offsets().zip(turn_ms).map(|(x, y)| x * (y - mean)).sum::<f64>() / spread;
    Some((mean - slope * middle, mean + slope * middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_own_fit() {
        let (first, last) = fitted(&[1.0, 1.5, 2.0, 2.5, 3.0]).unwrap();
        assert!((first - 1.0).abs() < 1e-9 && (last - 3.0).abs() < 1e-9);
        assert!(fitted(&[1.0]).is_none());
    }
}
