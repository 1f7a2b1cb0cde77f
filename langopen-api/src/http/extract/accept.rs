//! What a client takes.

use http::{HeaderMap, header};

/// Whether the client takes one of the kinds that answers to JSON-RPC come in.
pub(crate) fn accepts(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if given.peek().is_none() {
        return true;
    }
    let kinds = ["application/json", "text/event-stream", "application/*", "*/*"];
    given.any(|value| value.split(',').any(|kind| kinds.contains(&kind.split(';').next().unwrap_or_default().trim())))
}
