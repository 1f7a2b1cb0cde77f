//! Runs LangGraph applications: reads `langgraph.json`, makes the environments, starts graph hosts, and offers them as
//! an [`Executor`](langopen_core::Executor).
//!
//! User code runs only in graph hosts, which hold no credentials: checkpoints and store items travel as calls back over
//! a host's one connection.

pub mod config;
pub mod environment;
mod frame;
mod greeting;
mod host;
mod metrics;
mod pool;
mod remote;
mod service;
mod tls;

pub use config::AppConfig;
pub use environment::{Environment, EnvironmentPlan, NodeEnvironment, NodePlan};
pub use host::{HostError, LoadFailure, WebAnswer, WebApi, WebApp, WebBody, WebCall, WebRoute};
pub use metrics::describe_metrics;
pub use pool::{AppAuth, AuthCacheSettings, HostPool, NodeRuntime, PoolGraph, PoolSettings, PythonRuntime};
pub use remote::{Announcement, InvalidRunnerUrl, RunnerSet, RunnerSetSettings, RunnerUrl};
pub use service::{RunnerError, RunnerService, RunnerServiceSettings};
pub use tls::{ClientTls, ServerTls, TlsError};
