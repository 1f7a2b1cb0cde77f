//! Log records on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use crate::cli::LogFormat;

/// Starts logging. `RUST_LOG` chooses what is written; without it, our own records from `info` on.
pub(crate) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,langopen=info"));
    let records = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    match format {
        LogFormat::Text => records.with(layer).init(),
        LogFormat::Json => records.with(layer.json().flatten_event(true)).init(),
    }
}
