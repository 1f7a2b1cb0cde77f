//! The report of a comparison.

use serde::Serialize;

use super::bars::judge;
use super::measure::Figures;
use crate::bar::{Bar, Verdict};
use crate::bare::Bare;

/// The JSON report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) quick: bool,
    pub(super) cores: usize,
    /// The machine's load average before the run. Other load distorts the figures.
    pub(super) load_average: Option<String>,
    /// The parts that could not be measured, with the reasons.
    pub(super) notes: Vec<String>,
    pub(super) bars: Vec<Bar>,
    pub(super) langopen: Figures,
    pub(super) peer: Option<Figures>,
    pub(super) bare: Option<Bare>,
}

impl Report {
    pub(super) fn new(
        quick: bool,
        load_average: Option<String>,
        mut notes: Vec<String>,
        langopen: Figures,
        peer: Option<Figures>,
        bare: Option<Bare>,
    ) -> Self {
        for (name, figures) in [("langopen", Some(&langopen)), ("peer", peer.as_ref())] {
            if let Some((errors, Some(reason))) = figures.map(Figures::errors) {
                notes.push(format!("{name}: {errors} failed requests, such as: {reason}"));
            }
        }
        let bars = judge(&langopen, peer.as_ref(), bare.as_ref());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { quick, cores, load_average, notes, bars, langopen, peer, bare }
    }

    /// Whether a bar is missed. A bar without a figure does not count.
    pub(super) fn missed(&self) -> bool {
        self.bars.iter().any(|bar| bar.verdict == Verdict::Missed)
    }
}
