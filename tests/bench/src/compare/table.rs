//! Formats the report as tables.

use super::bars::growth;
use super::measure::Figures;
use super::report::Report;
use crate::bar;
use crate::bare::{Bare, Loop};
use crate::columns::{aligned, dash, number, row};
use crate::load::Measure;

/// The turns in the table.
const SHOWN_TURNS: [usize; 5] = [1, 5, 10, 15, 20];

/// All tables.
pub(super) fn render(report: &Report) -> String {
    let mut text = vec![aligned(servers(report)), aligned(turns(report))];
    text.extend(report.bare.as_ref().map(|bare| aligned(library(bare))));
    text.push(aligned(bar::rows(&report.bars)));
    text.push(format!("{} cores; load average before the run: {}", report.cores, dash(report.load_average.clone())));
    text.extend(report.notes.iter().map(|note| format!("note: {note}")));
    text.join("\n\n")
}

fn servers(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![row(&["server", "ms", "peer ms", "first ms", "peer first", "/s", "peer /s", "ratio /s"])];
    for named in &report.langopen.measures {
        let ours = &named.measure;
        let peer = report.peer.as_ref().and_then(|peer| peer.get(named.name));
        let p50 = |measure: &Measure| measure.ms.map(|ms| ms.p50);
        let first = |measure: &Measure| measure.first_ms.map(|ms| ms.p50);
        let ratio = peer.filter(|peer| peer.per_s > 0.0).map(|peer| ours.per_s / peer.per_s);
        rows.push(vec![
            named.name.to_owned(),
            number(p50(ours)),
            number(peer.and_then(p50)),
            number(first(ours)),
            number(peer.and_then(first)),
            number(Some(ours.per_s)),
            number(peer.map(|peer| peer.per_s)),
            number(ratio),
        ]);
    }
    let memory = |figures: &Figures| figures.memory.map(|memory| memory.resident_mib);
    let mut resident = vec!["resident MiB".to_owned(), number(memory(&report.langopen))];
    resident.push(number(report.peer.as_ref().and_then(memory)));
    rows.push(resident);
    rows
}

fn turns(report: &Report) -> Vec<Vec<String>> {
    let mut header = row(&["turn, p50 ms"]);
    header.extend(SHOWN_TURNS.map(|turn| turn.to_string()));
    header.push("growth".to_owned());
    let ours = &report.langopen;
    let lines = [
        ("langopen, 1 client", ours.turns_one_client.as_ref().map(|turns| &turns.turn_ms)),
        ("bare, 1 client", report.bare.as_ref().map(|bare| &bare.turns)),
        ("langopen, all at once", Some(&ours.turns_at_once.turn_ms)),
        ("peer, all at once", report.peer.as_ref().map(|peer| &peer.turns_at_once.turn_ms)),
    ];
    let line = |(name, turn_ms): (&str, Option<&Vec<f64>>)| {
        let turn_ms = turn_ms?;
        let mut row = vec![name.to_owned()];
        row.extend(SHOWN_TURNS.map(|turn| number(turn_ms.get(turn - 1).copied())));
        row.push(number(growth(turn_ms)));
        Some(row)
    };
    std::iter::once(header).chain(lines.into_iter().filter_map(line)).collect()
}

fn library(bare: &Bare) -> Vec<Vec<String>> {
    let mut rows = vec![row(&["bare library", "ms", "first ms", "/s"])];
    let lines: [(&str, &Loop); 6] = [
        ("noop, 1 client", &bare.noop),
        ("noop, 2 processes", &bare.noop_two_processes),
        ("tokens messages, 4 clients", &bare.messages.one_process),
        ("tokens messages, 4 clients, 2 processes", &bare.messages.two_processes),
        ("tokens values, 4 clients", &bare.values.one_process),
        ("tokens values, 4 clients, 2 processes", &bare.values.two_processes),
    ];
    rows.extend(lines.map(|(name, found)| {
        let [total, first, rate] = [found.total_ms, found.first_ms, found.per_s].map(|value| number(Some(value)));
        vec![name.to_owned(), total, first, rate]
    }));
    rows
}
