//! The report of a comparison.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::bar::{self, Bar, Verdict};
use crate::columns::{aligned, number, row};
use crate::error::{Error, Result};

/// The results of one part.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) figures: Vec<Figure>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) notes: Vec<String>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

impl Found {
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit });
    }
}

/// The JSON report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    quick: bool,
    cores: usize,
    load_average: Option<String>,
    figures: Vec<Figure>,
    bars: Vec<Bar>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(quick: bool) -> Self {
        let load_average = std::fs::read_to_string("/proc/loadavg").ok().map(|text| text.trim().to_owned());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { quick, cores, load_average, figures: Vec::new(), bars: Vec::new(), notes: Vec::new() }
    }

    /// Adds the results of a part. A failed part leaves a note; the rest still counts.
    pub(crate) fn add(&mut self, part: &str, found: Result<Found>) {
        match found {
            Ok(found) => {
                self.figures.extend(found.figures);
                self.bars.extend(found.bars);
                self.notes.extend(found.notes);
            }
            Err(error) => {
                eprintln!("{part}: not measured: {error}");
                self.notes.push(format!("{part}: not measured: {error}"));
            }
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row(&["figure", "measured", ""])];
        rows.extend(self.figures.iter().map(|figure| row(&[&figure.name, &number(Some(figure.value)), figure.unit])));
        rows
    }

    /// Prints the tables and the JSON report, and writes the JSON to `file` too. Returns the exit code.
    pub(crate) fn print(&self, file: Option<&Path>) -> Result<ExitCode> {
        println!("{}", aligned(self.rows()));
        println!("\n{}", aligned(bar::rows(&self.bars)));
        self.notes.iter().for_each(|note| println!("note: {note}"));
        let json = serde_json::to_string(self).map_err(|error| Error::Option(error.to_string()))?;
        println!("{json}");
        if let Some(file) = file {
            let failed = |source| Error::Io { what: format!("cannot write {}", file.display()), source };
            std::fs::write(file, json).map_err(failed)?;
        }
        Ok(if self.missed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn missed(&self) -> bool {
        self.bars.iter().any(|bar| bar.verdict == Verdict::Missed)
    }
}
