//! The Agent Server API inside your own axum service, with an agent written in Rust and without Python.

#![forbid(unsafe_code)]

mod agent;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use langopen_api::AgentServer;
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::{Backend, Executor, Result, Tenant};
use langopen_worker::{Worker, WorkerSettings};
use tokio_util::sync::CancellationToken;

/// The whole service: your own routes, and the Agent Server API under `/agents`. Its worker runs until `stop` is
/// cancelled.
pub async fn service(stop: CancellationToken) -> Result<Router> {
    // Every backend that implements the traits works; this one keeps all data in memory.
    let backend = Backend::new(Arc::new(Memory::new()), Arc::new(MemoryEventLog::new()));
    let executor: Arc<dyn Executor> = Arc::new(agent::executor()?);
    let server = AgentServer::new(backend.clone(), executor.clone());
    server.sync_system_assistants(&Tenant::default()).await?;
    tokio::spawn(Worker::new(backend, executor, WorkerSettings::default()).run(stop));
    Ok(Router::new().route("/", get(|| async { "my own service" })).nest("/agents", server.router()))
}
