//! Quantiles of durations, in milliseconds.

use std::time::Duration;

use serde::Serialize;

/// The quantiles of durations, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Quantiles {
    /// `None` without samples.
    pub(crate) fn of(samples: &mut [Duration]) -> Option<Self> {
        samples.sort_unstable();
        let max = ms(*samples.last()?);
        // The nearest rank.
        let at = |quantile: f64| {
            let rank = (quantile * samples.len() as f64).ceil() as usize;
            samples.get(rank.saturating_sub(1)).map_or(max, |sample| ms(*sample))
        };
        Some(Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max })
    }
}

/// Milliseconds, to the microsecond.
fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let mut samples: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        let q = Quantiles::of(&mut samples).unwrap();
        assert_eq!((q.p50, q.p95, q.p99, q.max), (50.0, 95.0, 99.0, 100.0));
    }

    #[test]
    fn one_sample_is_every_quantile() {
        let q = Quantiles::of(&mut [Duration::from_millis(7)]).unwrap();
        assert_eq!((q.p50, q.max), (7.0, 7.0));
        assert!(Quantiles::of(&mut []).is_none());
    }
}
