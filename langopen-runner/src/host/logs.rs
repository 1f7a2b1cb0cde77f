//! What user code prints and logs, as records of ours.

use tracing::{Level, event, warn};

use super::Host;
use crate::frame::payload::{Log, from_json};

/// Writes a LOG frame into our log, with the run's id.
pub(super) fn write(host: &Host, payload: &[u8]) {
    let log: Log = match from_json("host.log", payload) {
        Ok(log) => log,
        Err(error) => {
            warn!(host = host.number, %error, "a graph host sent a log record that cannot be read");
            return;
        }
    };
    let run_id = log.run_id.as_deref();
    let (source, logger, message) = (log.source.as_str(), log.logger.as_deref(), log.message.as_str());
    macro_rules! record {
        ($level:expr) => {
            event!(target: "langopen::graph", $level, host = host.number, run_id, source, logger, "{message}")
        };
    }
    match log.level.to_ascii_lowercase().as_str() {
        "debug" => record!(Level::DEBUG),
        "warning" | "warn" => record!(Level::WARN),
        "error" | "critical" => record!(Level::ERROR),
        _ => record!(Level::INFO),
    }
}
