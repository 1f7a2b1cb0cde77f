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
mod inherited;
mod metrics;
mod pool;
mod remote;
pub mod sandbox;
mod service;
mod tls;

pub use config::AppConfig;
pub use environment::{Environment, EnvironmentPlan, NodeEnvironment, NodePlan};
pub use host::{HostError, LoadFailure, WebAnswer, WebApi, WebApp, WebBody, WebCall, WebRoute};
pub use inherited::{Inherited, Withheld};
pub use metrics::describe_metrics;
pub use pool::{AppAuth, AuthCacheSettings, HostPool, NodeRuntime, PoolGraph, PoolSettings, PythonRuntime};
pub use remote::{Announcement, InvalidRunnerUrl, RunnerSet, RunnerSetError, RunnerSetSettings, RunnerUrl};
pub use sandbox::Sandbox;
pub use service::{RunnerError, RunnerService, RunnerServiceSettings};
pub use tls::{ClientTls, ServerTls, TlsError};
