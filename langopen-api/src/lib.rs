//! The Agent Server API of LangOpen as an [`axum::Router`]. The LangGraph SDKs, `RemoteGraph` and `useStream` front
//! ends are its clients.
//!
//! [`AgentServer`] serves that API from a backend (a storage, a queue and an event log) and an executor. You can
//! replace each of them with your own implementation:
//! ```
//! use std::sync::Arc;
//!
//! use langopen_api::AgentServer;
//! use langopen_core::{Backend, Executor};
//!
//! fn app(backend: Backend, executor: Arc<dyn Executor>) -> axum::Router {
//!     axum::Router::new().merge(AgentServer::new(backend, executor).router())
//! }
//! ```
//!
//! The server accepts, reads and cancels runs. It does not execute them: a worker that shares the queue does.
//!
//! # Map
//!
//! - [`AgentServer`] and [`Settings`]: one deployment, with its limits, headers, features and login.
//! - [`Installation`]: several deployments behind one address, each with its own [`AgentServer`]. Implement
//!   [`DeploymentSource`] to create the servers.
//! - [`Authenticator`] and [`require_auth`]: the server's login, for routes of your own beside the API.
//! - [`CustomApp`]: a web application of your own in front of the API.
//! - [`Metrics`] and [`describe_metrics`]: the content of `/metrics`.

#![forbid(unsafe_code)]

mod agent;
mod doors;
mod gateway;
mod http;
mod openapi;
mod router;
mod server;
mod settings;

pub use crate::agent::metrics::{Metrics, WorkerCounts, describe_metrics};
pub use crate::agent::{Authenticator, StudioAuth, require_auth};
pub use crate::http::access::Trusted;
pub use crate::http::cors::{Cors, InvalidCors};
pub use crate::http::extract::BodyBudget;
pub use crate::http::headers::{ConfigurableHeaders, LoggingHeaders};
pub use doors::custom::{Api, AppDescription, AppOptions, AppRequest, AppRoute, CustomApp};
pub use gateway::{DeploymentSource, Installation};
pub use server::AgentServer;
pub use settings::{Features, HostInfo, SecurityDocument, Settings};

/// Compiles the examples in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
