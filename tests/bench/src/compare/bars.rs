//! The bars, and the verdicts on this run's figures.

use super::measure::Figures;
use super::plan::{STATE, STREAM_TOKENS, WAIT_1, WAIT_32};
use crate::bar::Bar;
use crate::bare::{Bare, Loop, Streams};
use crate::load::{Measure, Turns, fitted};

const WAIT_P50_MS: f64 = 5.0;
const RUNS_OF_PEER: f64 = 3.0;
const RUNS_OF_BARE: f64 = 1.0 / 3.0;
const FIRST_EVENT_MS: f64 = 15.0;
const STREAM_TOTAL: f64 = 1.3;
const STATE_OF_PEER: f64 = 10.0;
const RESIDENT_MIB: f64 = 60.0;
/// The growth of two equal series of 40 threads differs by up to this factor.
const GROWTH_NOISE: f64 = 1.2;

/// Every bar, in the order of the README.
pub(super) fn judge(ours: &Figures, peer: Option<&Figures>, bare: Option<&Bare>) -> Vec<Bar> {
    let rate = |figures: &Figures, name| figures.get(name).map(|measure| measure.per_s);
    let of_peer = |name| Some(rate(ours, name)? / rate(peer?, name).filter(|rate| *rate > 0.0)?);
    let of_bare = bare.and_then(|bare| Some(rate(ours, WAIT_32)? / bare.noop_two_processes.per_s));
    let p50 = |name| ours.get(name).and_then(|measure| Some(measure.ms?.p50));

    let mut bars = vec![
        Bar::at_most("wait, 1 client: p50", p50(WAIT_1), Some(WAIT_P50_MS), "ms"),
        Bar::at_least("wait, 32 clients: rate, of the peer's", of_peer(WAIT_32), Some(RUNS_OF_PEER), "x"),
        Bar::at_least("wait, 32 clients: rate, of two bare processes'", of_bare, Some(RUNS_OF_BARE), "x"),
    ];
    bars.extend(streams("tokens", ours.get(STREAM_TOKENS), bare.map(|bare| &bare.messages)));

    let explained = bare.and_then(|bare| growth(&bare.turns)).map(|growth| growth * GROWTH_NOISE);
    // The comparison covers only as many turns as the bare library ran.
    let turns = bare.map_or(0, |bare| bare.turns.len());
    let whole = |found: &Turns| growth(&found.turn_ms).filter(|_| found.turn_ms.len() == turns);
    let one_client = ours.turns_one_client.as_ref().and_then(whole);
    let at_once = whole(&ours.turns_at_once);
    bars.extend([
        Bar::at_most("turns, 1 client: growth, with bare's", one_client, explained, "x"),
        Bar::at_most("turns, all at once: growth, with bare's", at_once, explained, "x"),
        Bar::at_least("state, 8 clients: rate, of the peer's", of_peer(STATE), Some(STATE_OF_PEER), "x"),
        Bar::at_most("resident memory", ours.memory.map(|memory| memory.resident_mib), Some(RESIDENT_MIB), "MiB"),
        Bar::at_most("failed requests", Some(ours.errors().0 as f64), Some(0.0), ""),
    ]);
    bars
}

/// Compares first events and whole streams with direct calls under the same concurrency: in one process, and in as many
/// processes as there are graph hosts.
fn streams(kind: &str, ours: Option<&Measure>, bare: Option<&Streams>) -> Vec<Bar> {
    let first = ours.and_then(|ours| ours.first_ms).map(|ms| ms.p50);
    let total = ours.and_then(|ours| ours.ms).map(|ms| ms.p50);
    let bars = |processes: &str, bare: Option<Loop>| {
        let later = first.zip(bare).map(|(first, bare)| first - bare.first_ms);
        let slower = total.zip(bare).map(|(total, bare)| total / bare.total_ms);
        let name = |what| format!("{kind}, 4 clients: {what} bare in {processes}");
        [
            Bar::at_most(name("first event, after"), later, Some(FIRST_EVENT_MS), "ms"),
            Bar::at_most(name("total, of"), slower, Some(STREAM_TOTAL), "x"),
        ]
    };
    let one = bars("1 process", bare.map(|bare| bare.one_process));
    one.into_iter().chain(bars("2 processes", bare.map(|bare| bare.two_processes))).collect()
}

/// The last turn's time as a multiple of the first turn's, both on the fitted line.
pub(super) fn growth(turn_ms: &[f64]) -> Option<f64> {
    fitted(turn_ms).filter(|(first, _)| *first > 0.0).map(|(first, last)| last / first)
}
