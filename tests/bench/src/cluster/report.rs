//! What the comparison found.

use serde::Serialize;

use super::Part;
use crate::bar::{Bar, Verdict};
use crate::columns::{number, row};
use crate::error::Result;

/// What one part found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) figures: Vec<Figure>,
    pub(super) bars: Vec<Bar>,
    pub(super) notes: Vec<String>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
}

impl Found {
    pub(super) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit });
    }
}

/// The JSON report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    quick: bool,
    cores: usize,
    load_average: Option<String>,
    figures: Vec<Figure>,
    pub(super) bars: Vec<Bar>,
    pub(super) notes: Vec<String>,
}

impl Report {
    pub(super) fn new(quick: bool) -> Self {
        let load_average = std::fs::read_to_string("/proc/loadavg").ok().map(|text| text.trim().to_owned());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { quick, cores, load_average, figures: Vec::new(), bars: Vec::new(), notes: Vec::new() }
    }

    /// What could not be measured leaves a note; the rest still counts.
    pub(super) fn add(&mut self, part: Part, found: Result<Found>) {
        match found {
            Ok(found) => {
                self.figures.extend(found.figures);
                self.bars.extend(found.bars);
                self.notes.extend(found.notes);
            }
            Err(error) => {
                eprintln!("{}: not measured: {error}", part.name());
                self.notes.push(format!("{}: not measured: {error}", part.name()));
            }
        }
    }

    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row(&["figure", "measured", ""])];
        rows.extend(self.figures.iter().map(|figure| row(&[&figure.name, &number(Some(figure.value)), figure.unit])));
        rows
    }

    pub(super) fn missed(&self) -> bool {
        self.bars.iter().any(|bar| bar.verdict == Verdict::Missed)
    }
}
