//! The measurements and their lengths.

use std::time::Duration;

use crate::bare::Extent;
use crate::load::Scenario;

/// The names of measurements that bars use.
pub(super) const WAIT_1: &str = "wait, 1 client";
pub(super) const WAIT_32: &str = "wait, 32 clients";
pub(super) const STREAM_TOKENS: &str = "stream messages-tuple, 4 clients";
pub(super) const STREAM_VALUES: &str = "stream values, 4 clients";
pub(super) const STATE: &str = "state, 8 clients";

/// One measurement of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) scenario: Scenario,
    pub(super) assistant: &'static str,
    pub(super) stream_mode: &'static str,
    pub(super) clients: usize,
    pub(super) seconds: f64,
}

/// One comparison.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) warm_up: Duration,
    /// The number of turns of the thread that `state` and `history` read.
    pub(super) read_turns: usize,
    pub(super) threads: usize,
    pub(super) turns: usize,
    /// The most time for the threads, all at the same time.
    pub(super) at_once: Duration,
    /// The most time for the threads, one after another. This is for LangOpen only, because the peer takes a second per
    /// turn.
    pub(super) one_client: Duration,
    pub(super) bare: Extent,
}

impl Plan {
    pub(super) fn full() -> Self {
        let mut plan = Self::bars(1.0);
        let more = |name, scenario, assistant, clients, seconds| {
            let stream_mode = "values";
            Step { name, scenario, assistant, stream_mode, clients, seconds }
        };
        plan.steps.extend([
            more("history, 8 clients", Scenario::History, "noop", 8, 3.0),
            more("search, 8 clients", Scenario::Search, "noop", 8, 3.0),
            more("background, 8 clients", Scenario::Background, "noop", 8, 4.0),
            more("create-thread, 8 clients", Scenario::CreateThread, "noop", 8, 3.0),
            more("store-put, 8 clients", Scenario::StorePut, "noop", 8, 3.0),
            more("ok, 8 clients", Scenario::Ok, "noop", 8, 2.0),
            more("hold, 40 clients", Scenario::Hold, "sleepy", 40, 1.0),
        ]);
        plan
    }

    /// Only the measurements that the bars need, in less than half the time.
    pub(super) fn quick() -> Self {
        Self::bars(0.4)
    }

    fn bars(scale: f64) -> Self {
        let step = |name, scenario, assistant, stream_mode, clients, seconds: f64| {
            let seconds = seconds * scale;
            Step { name, scenario, assistant, stream_mode, clients, seconds }
        };
        Self {
            steps: vec![
                step(WAIT_1, Scenario::Wait, "noop", "values", 1, 5.0),
                step(STATE, Scenario::State, "noop", "values", 8, 4.0),
                step(WAIT_32, Scenario::Wait, "noop", "values", 32, 7.0),
                step(STREAM_TOKENS, Scenario::Stream, "tokens", "messages-tuple", 4, 6.0),
                step(STREAM_VALUES, Scenario::Stream, "tokens", "values", 4, 4.0),
            ],
            warm_up: Duration::from_secs(1),
            read_turns: 5,
            threads: 40,
            turns: 20,
            at_once: Duration::from_secs_f64(16.0 * scale),
            one_client: Duration::from_secs_f64(10.0 * scale),
            bare: Extent { seconds: 3.0 * scale, threads: 40, turns: 20 },
        }
    }
}
