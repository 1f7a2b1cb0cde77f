//! Prints the lines that a server writes to standard output while it starts.

use std::io::Write;
use std::time::Duration;

use langopen_core::AssistantId;
use langopen_core::executor::GraphInfo;

use crate::logging;

/// Prints one line: its subject in the first column, then the text. With JSON logs the line is a log record.
pub(crate) fn say(subject: &str, text: &str) {
    if logging::is_json() {
        tracing::info!(subject, "{text}");
        return;
    }
    // A closed standard output must not stop the server.
    let _ = writeln!(std::io::stdout().lock(), "{subject:>12}  {text}");
}

/// Prints the addresses and the graphs of the server.
pub(crate) fn announce_ready(api_url: &str, graphs: Vec<GraphInfo>, took: Duration) {
    say("ready", &format!("after {:.1} s", took.as_secs_f64()));
    say("API", api_url);
    say("docs", &format!("{api_url}/docs"));
    for graph in graphs {
        let description = graph.description.map(|text| format!(": {text}")).unwrap_or_default();
        say("graph", &format!("{}{description} (assistant {})", graph.graph_id, AssistantId::system(&graph.graph_id)));
    }
    say("stop", "with Ctrl-C");
}
