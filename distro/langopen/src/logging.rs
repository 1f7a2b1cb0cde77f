//! Writes log records to standard error, and starts the export of traces.

use std::env;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

use json_subscriber::JsonLayer;
use tracing::{Subscriber, warn};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::cli::LogFormat;
use crate::log_fields::EscapedFields;
use crate::tracing_export::{self, Traces};

/// Whether standard output and standard error both carry only log records.
static JSON: AtomicBool = AtomicBool::new(false);

/// The level names that `LOG_LEVEL` accepts: Python's names, and Rust's.
const LEVELS: [(&str, &str); 7] = [
    ("CRITICAL", "error"),
    ("DEBUG", "debug"),
    ("ERROR", "error"),
    ("INFO", "info"),
    ("TRACE", "trace"),
    ("WARN", "warn"),
    ("WARNING", "warn"),
];

/// Starts logging, and the export of traces if variables ask for it. `program` is the process's name in traces. Call it
/// within the runtime.
pub(crate) fn start(format: Option<LogFormat>, program: &'static str) -> Option<Traces> {
    let format = format.unwrap_or_else(by_variable);
    JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    let (traces, failure) = match tracing_export::start(program) {
        Ok(started) => (started, None),
        Err(error) => (None, Some(error)),
    };
    let (traces, exported) = traces.unzip();
    let layers = [Some(layer(format).with_filter(filter()).boxed()), exported];
    tracing_subscriber::registry().with(layers.into_iter().flatten().collect::<Vec<_>>()).init();
    if let Some(error) = failure {
        warn!(%error, "traces are not exported: check the OTEL_ variables");
    }
    traces
}

/// Whether the start-up lines are log records too.
pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

fn by_variable() -> LogFormat {
    let wanted =
        env::var("LOG_JSON").is_ok_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes"));
    if wanted { LogFormat::Json } else { LogFormat::Text }
}

/// The filter of `RUST_LOG`, or else LangOpen's own records at `LOG_LEVEL` and above.
fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(directives(env::var("LOG_LEVEL").ok().as_deref())))
}

fn directives(level: Option<&str>) -> String {
    let level = level.map(str::to_ascii_uppercase);
    let level = LEVELS.into_iter().find(|(name, _)| Some(*name) == level.as_deref()).map_or("info", |(_, level)| level);
    let others = if level == "error" { "error" } else { "warn" };
    format!("{others},langopen={level}")
}

fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    match format {
        LogFormat::Text => {
            let layer = tracing_subscriber::fmt::layer().fmt_fields(EscapedFields).with_writer(stderr);
            layer.with_ansi(stderr().is_terminal()).boxed()
        }
        LogFormat::Json => {
            let mut layer = JsonLayer::new(stderr);
            layer.with_timer("timestamp", SystemTime).with_level("level").with_target("target");
            // Each record repeats the ids of its spans, so that one query finds all records of a run.
            layer.with_flattened_event().with_top_level_flattened_span_list();
            layer.boxed()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_pythons_names() {
        for (level, expected) in [
            (None, "warn,langopen=info"),
            (Some("debug"), "warn,langopen=debug"),
            (Some("WARNING"), "warn,langopen=warn"),
            (Some("Critical"), "error,langopen=error"),
            (Some("loud"), "warn,langopen=info"),
        ] {
            assert_eq!(directives(level), expected, "{level:?}");
        }
    }
}
