//! Reads which content types a client accepts.

use http::{HeaderMap, header};

/// Whether the client accepts JSON or server-sent events, the content types of JSON-RPC answers.
pub(crate) fn accepts(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if given.peek().is_none() {
        return true;
    }
    let kinds = ["application/json", "text/event-stream", "application/*", "*/*"];
    given.any(|value| value.split(',').any(|kind| kinds.contains(&kind.split(';').next().unwrap_or_default().trim())))
}
