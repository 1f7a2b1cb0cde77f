//! The Agent2Agent protocol at `/a2a/{assistant_id}`: every assistant is an agent that other agents send messages to.
//! The protocol uses JSON-RPC. The server speaks both dialects in use, 0.3 and 1.0.
//!
//! The protocol uses the same runs, threads and event log as the other operations. A context is a thread. A task is a
//! run on it, with the runs that answer its interrupts. A stream is a translation of the run's log. The server stores
//! nothing else for it, except two keys in the metadata of runs: the id of the task that a run continues, and a mark on
//! the last run of a task that a client canceled while it waited for an answer.
//!
//! The types are our own. Crates with types of the protocol cover one dialect each (`a2a-lf`, `a2a-protocol-types`:
//! 1.0; `a2a-sdk`: 0.3). They also decode data that passes through this module as text.

mod cancel;
mod card;
mod chain;
mod content;
mod cursor;
mod destination;
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

use axum::Extension;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    // The Agent Server's document describes only this operation.
    OpenApiRouter::new()
        .routes(routes!(endpoint::post_a2a))
        .route("/a2a/{assistant_id}", get(card::get_card).delete(card::delete_session))
        .route("/a2a/{assistant_id}/.well-known/agent-card.json", get(card::get_card))
        .route("/a2a/{assistant_id}/.well-known/agent.json", get(card::get_card))
        .route("/.well-known/agent-card.json", get(card::get_root_card))
        .route("/.well-known/agent.json", get(card::get_root_card))
        .layer(Extension(fields::KnownFields::default()))
}
