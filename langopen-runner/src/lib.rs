//! Runs LangGraph applications in Python and Node.js processes, as an [`Executor`](langopen_core::Executor).
//!
//! An application is a folder with `langgraph.json`. This crate reads the file, makes the environments that it asks
//! for, and starts graph hosts in them. A graph host is a process that loads the application's graphs and executes many
//! runs. User code runs only there. A host has no credentials of any data store: checkpoints and store items travel as
//! calls over its only connection, and this process answers them.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use langopen_runner::environment::Options;
//! use langopen_runner::{AppConfig, EnvironmentPlan};
//!
//! # async fn prepare() -> Result<(), Box<dyn std::error::Error>> {
//! let config = AppConfig::load(Path::new("./my-app"))?;
//! let plan = EnvironmentPlan::new(&config, Options::new("./environments")).await?;
//! let environment = plan.ensure(|step| println!("{step}")).await?;
//! println!("graphs run with {}", environment.python.display());
//! # Ok(())
//! # }
//! ```
//!
//! [`HostPool::start`] starts the hosts on this machine. With runners on other machines, workers and API servers use a
//! [`RunnerSet`] instead:
//!
//! ```no_run
//! use langopen_core::Tenant;
//! use langopen_runner::{RunnerSet, RunnerSetSettings, RunnerUrl};
//!
//! # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
//! let urls = RunnerUrl::list("acme/shop/prod=tcp://runner:2026")?;
//! let runners = RunnerSet::connect(RunnerSetSettings::default().with_urls(urls))?;
//! let pool = runners.pool(&Tenant::parse("acme/shop/prod")?); // `None` until a runner has connected
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! - [`config`] reads and checks `langgraph.json`.
//! - [`environment`] makes the Python and JavaScript environments.
//! - [`HostPool`] distributes work over the hosts of one application, and restarts hosts that die.
//! - [`AppAuth`] authenticates callers with the application's own login.
//! - [`RunnerService`] offers the hosts of one deployment on a TCP port; [`RunnerSet`] is its client.
//! - [`Sandbox`] and [`Inherited`] restrict the files, processes and variables that user code can access.
//!
//! The README describes the frames between hosts, runners and their clients.

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
