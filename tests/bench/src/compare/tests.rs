//! Tests the verdicts with invented figures.

use serde_json::json;

use super::bars::judge;
use super::measure::{Figures, Named};
use super::plan::{Plan, STATE, WAIT_1, WAIT_32};
use crate::bar::Verdict;
use crate::bare::Bare;
use crate::load::{Measure, Turns};
use crate::process::Memory;
use crate::quantiles::Quantiles;

fn figures(ms: f64, per_s: f64, turn_ms: Vec<f64>, resident_mib: f64) -> Figures {
    let ms = Quantiles { p50: ms, p95: ms, p99: ms, max: ms };
    let measures = Plan::quick().steps.into_iter().map(|step| {
        let measure = Measure {
            scenario: step.scenario,
            clients: step.clients,
            n: 1,
            per_s,
            ms: Some(ms),
            first_ms: Some(ms),
            events: 0,
            errors: 0,
            last_error: None,
        };
        Named { name: step.name, measure }
    });
    let turns = Turns { clients: 1, complete: 40, turn_ms, errors: 0, last_error: None };
    Figures {
        measures: measures.collect(),
        turns_one_client: Some(turns.clone()),
        turns_at_once: turns,
        memory: Some(Memory { resident_mib, peak_mib: resident_mib }),
    }
}

fn bare() -> Bare {
    let found = json!({"processes": 1, "clients": 4, "n": 1, "per_s": 3000.0, "first_ms": 1.0, "total_ms": 10.0});
    let streams = json!({"one_process": found, "two_processes": found});
    let report = json!({"python": "3", "langgraph": "1", "noop": found, "noop_two_processes": found,
        "messages": streams, "values": streams, "turns": [1.0, 1.5, 2.0]});
    serde_json::from_value(report).unwrap()
}

#[test]
fn good_figures_meet_every_bar() {
    let ours = figures(4.0, 1500.0, vec![3.0, 4.0, 5.0], 50.0);
    let peer = figures(1000.0, 150.0, vec![1.0], 140.0);
    for bar in judge(&ours, Some(&peer), Some(&bare())) {
        assert_eq!(bar.verdict, Verdict::Met, "{bar:?}");
    }
}

#[test]
fn bad_figures_miss_every_bar_but_failures() {
    let ours = figures(40.0, 100.0, vec![1.0, 2.0, 3.0], 61.0);
    let peer = figures(1000.0, 100.0, vec![1.0], 140.0);
    for bar in judge(&ours, Some(&peer), Some(&bare())) {
        let expected = if bar.name == "failed requests" { Verdict::Met } else { Verdict::Missed };
        assert_eq!(bar.verdict, expected, "{bar:?}");
    }
}

#[test]
fn without_a_peer_its_bars_are_not_measured() {
    let ours = figures(4.0, 1500.0, vec![3.0, 4.0, 5.0], 50.0);
    let bars = judge(&ours, None, Some(&bare()));
    let open: Vec<_> = bars.iter().filter(|bar| bar.verdict == Verdict::NotMeasured).map(|bar| &bar.name).collect();
    assert_eq!(open.len(), 2);
    assert!(open.iter().all(|name| name.contains("the peer's")), "{open:?}");
}

#[test]
fn every_plan_covers_the_bars() {
    for plan in [Plan::quick(), Plan::full()] {
        for name in [WAIT_1, WAIT_32, STATE] {
            assert!(plan.steps.iter().any(|step| step.name == name), "{name}");
        }
    }
}
