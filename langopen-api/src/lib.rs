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

mod agent;
mod doors;
mod gateway;
mod http;
mod openapi;
mod router;
mod server;
mod settings;

pub use crate::http::access::{Authenticator, StudioAuth, Trusted, require_auth};
pub use crate::http::cors::{Cors, InvalidCors};
pub use crate::http::extract::BodyBudget;
pub use crate::http::observe::{Metrics, WorkerCounts, describe_metrics};
pub use doors::custom::{Api, AppDescription, AppOptions, AppRequest, AppRoute, CustomApp};
pub use gateway::{DeploymentSource, Installation};
pub use server::AgentServer;
pub use settings::{ConfigurableHeaders, Features, HostInfo, LoggingHeaders, SecurityDocument, Settings};
