//! The event streaming protocol (version 2): commands to a thread, and its events in one shape, over server-sent events and WebSockets.
//!
//! It is a door to the same runs, threads and log of events as the operations beside it: a command creates a run as they do, and a stream is the thread's log,
//! translated. The types are those of the packages `@langchain/protocol` and `langchain-protocol`.

mod chunks;
mod command;
mod envelope;
mod event;
mod events;
mod filter;
mod inject;
mod out;
mod place;
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
mod told;
mod translate;
mod tree;

use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::server::App;

pub(crate) use translate::{NATIVE, NEVER_BEGUN};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(command::send_command))
        .routes(routes!(events::stream_events))
        // WebSockets have no place in an OpenAPI document.
        .route("/threads/{thread_id}/stream/events", get(socket::open_socket))
}
