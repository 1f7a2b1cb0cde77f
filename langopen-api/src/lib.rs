//! The Agent Server API of LangOpen: what LangGraph's SDKs, front ends and tools speak, as an [`axum::Router`].
//!
//! [`AgentServer`] puts a storage, a queue, an event log and an executor behind that API; each of them can be your own.
//!
//! ```
//! use std::sync::Arc;
//!
//! use langopen_api::AgentServer;
//! use langopen_core::{EventLog, Executor, Queue, Storage};
//!
//! fn app(
//!     storage: Arc<dyn Storage>,
//!     queue: Arc<dyn Queue>,
//!     events: Arc<dyn EventLog>,
//!     executor: Arc<dyn Executor>,
//! ) -> axum::Router {
//!     axum::Router::new().merge(AgentServer::new(storage, queue, events, executor).router())
//! }
//! ```
//!
//! [`Installation`] serves several deployments, each an [`AgentServer`], behind one address.
//!
//! The server only accepts, reads and cancels runs; a worker that shares the queue executes them.

#![forbid(unsafe_code)]

mod a2a;
mod access;
mod assistants;
mod batches;
mod cors;
mod crons;
mod custom;
mod deployments;
mod error;
mod extract;
mod json_rpc;
mod mcp;
mod meta;
mod observe;
mod openapi;
mod pages;
mod protocol;
mod router;
mod run_body;
mod runs;
mod server;
mod settings;
mod sse;
mod state;
mod store;
mod threads;
mod ui;
mod unread;
mod wire;

pub use access::{Authenticator, StudioAuth, Trusted, require_auth};
pub use cors::{Cors, InvalidCors};
pub use custom::{Api, AppDescription, AppOptions, AppRequest, AppRoute, CustomApp};
pub use deployments::{DeploymentSource, Installation};
pub use extract::BodyBudget;
pub use observe::{Metrics, WorkerCounts, describe_metrics};
pub use server::AgentServer;
pub use settings::{ConfigurableHeaders, Features, HostInfo, LoggingHeaders, SecurityDocument, Settings};
