//! Bars: limits for figures, with their verdicts.

use serde::Serialize;

use crate::columns::{number, row};

/// The verdict on a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

/// One bar.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) measured: Option<f64>,
    /// `<=` or `>=`.
    pub(crate) comparison: &'static str,
    pub(crate) limit: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) verdict: Verdict,
}

impl Bar {
    pub(crate) fn at_most(
        name: impl Into<String>,
        measured: Option<f64>,
        limit: Option<f64>,
        unit: &'static str,
    ) -> Self {
        Self::new(name, measured, "<=", limit, unit, |measured, limit| measured <= limit)
    }

    pub(crate) fn at_least(
        name: impl Into<String>,
        measured: Option<f64>,
        limit: Option<f64>,
        unit: &'static str,
    ) -> Self {
        Self::new(name, measured, ">=", limit, unit, |measured, limit| measured >= limit)
    }

    fn new(
        name: impl Into<String>,
        measured: Option<f64>,
        comparison: &'static str,
        limit: Option<f64>,
        unit: &'static str,
        holds: fn(f64, f64) -> bool,
    ) -> Self {
        let verdict = match measured.zip(limit) {
            None => Verdict::NotMeasured,
            Some((measured, limit)) if holds(measured, limit) => Verdict::Met,
            Some(_) => Verdict::Missed,
        };
        Self { name: name.into(), measured, comparison, limit, unit, verdict }
    }
}

/// The bars as a table.
pub(crate) fn rows(bars: &[Bar]) -> Vec<Vec<String>> {
    let mut rows = vec![row(&["bar", "measured", "", "limit", "", "verdict"])];
    rows.extend(bars.iter().map(|bar| {
        let verdict = match bar.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::NotMeasured => "not measured",
        };
        let (measured, limit) = (number(bar.measured), number(bar.limit));
        let words = [bar.name.as_str(), &measured, bar.comparison, &limit, bar.unit, verdict];
        row(&words)
    }));
    rows
}
