//! The Agent2Agent protocol at `/a2a/{assistant_id}`: every assistant is an agent that others talk to, in JSON-RPC, in both dialects that are in use (0.3 and 1.0).
//!
//! It is a door to the same runs, threads and log of events as the operations beside it: a context is a thread, a task is a run on it with the runs that answer its
//! interrupts, and a stream is the run's log, translated. Nothing is kept for it but, in the metadata of runs, the id of the task that one goes on with, and that one's task was given up while it waited.
//!
//! The shapes are our own. Crates with types of the protocol cover one dialect each (`a2a-lf`, `a2a-protocol-types`: 1.0; `a2a-sdk`: 0.3), and decode the data
//! that passes through here as text.

mod cancel;
mod card;
mod chain;
mod content;
mod cursor;
mod dialect;
mod ending;
mod endpoint;
mod error;
mod fields;
mod get;
mod history;
mod input;
mod list;
mod message;
mod place;
mod request;
mod search;
mod send;
mod shapes;
mod stream;
mod subscribe;
mod task;
mod task_id;
mod tools;
mod translate;

use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::server::App;

pub(crate) use fields::KnownFields;

pub(crate) fn routes() -> OpenApiRouter<App> {
    // The Agent Server's document has the one operation.
    OpenApiRouter::new()
        .routes(routes!(endpoint::post_a2a))
        .route("/a2a/{assistant_id}", get(card::get_card).delete(card::delete_session))
        .route("/a2a/{assistant_id}/.well-known/agent-card.json", get(card::get_card))
        .route("/a2a/{assistant_id}/.well-known/agent.json", get(card::get_card))
        .route("/.well-known/agent-card.json", get(card::get_root_card))
        .route("/.well-known/agent.json", get(card::get_root_card))
}
