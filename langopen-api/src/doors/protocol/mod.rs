//! The event streaming protocol (version 2): commands to a thread, and its events, over server-sent events and
//! WebSockets.
//!
//! It uses the same runs, threads and event log as the other operations. A command creates a run as `POST /runs` does,
//! and a stream translates the thread's log. The packages `@langchain/protocol` and `langchain-protocol` define the
//! types.

mod chunks;
mod command;
mod envelope;
mod event;
mod events;
mod filter;
mod inject;
mod messages;
mod number;
mod out;
mod progress;
mod respond;
mod rows;
mod shapes;
mod socket;
mod start;
mod state;
mod status;
mod subscriptions;
mod tape;
mod translate;
mod tree;

use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(command::send_command))
        .routes(routes!(events::stream_events))
        // OpenAPI cannot describe WebSockets.
        .route("/threads/{thread_id}/stream/events", get(socket::open_socket))
}

/// Whether a path, below the mount prefix and as the client wrote it, is the path of [`socket::open_socket`].
pub(crate) fn is_socket(path: &str) -> bool {
    let mut steps = path.split('/');
    let found = (steps.next(), steps.next(), steps.next(), steps.next(), steps.next(), steps.next());
    matches!(found, (Some(""), Some("threads"), Some(_), Some("stream"), Some("events"), None))
}
