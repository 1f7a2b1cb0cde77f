//! The Agent Server API inside your own axum service, with an agent written in Rust and without Python.

#![forbid(unsafe_code)]

mod agent;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use langopen_api::AgentServer;
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::{EventLog, Executor, Queue, Result, Storage, SystemClock, Tenant};
use langopen_worker::{Services, Worker, WorkerSettings};
use tokio_util::sync::CancellationToken;

/// The whole service: your own routes, and the Agent Server API under `/agents`. Its worker runs until `stop` is
/// cancelled.
pub async fn service(stop: CancellationToken) -> Result<Router> {
    // Every backend that implements the traits works; this one keeps all data in memory.
    let memory = Arc::new(Memory::new());
    let services = Services {
        storage: memory.clone() as Arc<dyn Storage>,
        queue: memory as Arc<dyn Queue>,
        events: Arc::new(MemoryEventLog::new()) as Arc<dyn EventLog>,
        executor: Arc::new(agent::executor()?) as Arc<dyn Executor>,
        clock: Arc::new(SystemClock),
    };
    let server = AgentServer::new(
        services.storage.clone(),
        services.queue.clone(),
        services.events.clone(),
        services.executor.clone(),
    );
    server.sync_system_assistants(&Tenant::default()).await?;
    tokio::spawn(Worker::new(services, WorkerSettings::default()).run(stop));
    Ok(Router::new().route("/", get(|| async { "my own service" })).nest("/agents", server.router()))
}
