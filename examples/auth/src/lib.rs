//! The Agent Server API behind your own login. Signed tokens identify the caller, and each user sees only their own
//! resources.

mod owners;
mod token;

use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router, middleware};
use langopen_api::{AgentServer, Authenticator, require_auth};
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::auth::{Auth, Identity};
use langopen_core::{Backend, Executor, Result, Tenant};
use langopen_graph::FunctionExecutor;
use langopen_worker::{Worker, WorkerSettings};
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub use owners::Owners;
pub use token::{Claims, Signer};

/// The whole service: the Agent Server API, and `/me` behind the same login. Its worker runs until `stop` is cancelled.
pub async fn service(signer: Signer, stop: CancellationToken) -> Result<Router> {
    // The graph can read the user that runs it.
    let executor = FunctionExecutor::new()
        .graph("who", |run| async move { Ok(json!({"user": run.config()["configurable"]["langgraph_auth_user"]})) });
    let backend = Backend::new(Arc::new(Memory::new()), Arc::new(MemoryEventLog::new()));
    let executor: Arc<dyn Executor> = Arc::new(executor);
    let auth: Arc<dyn Auth> = Arc::new(Owners::new(signer, backend.clock.clone()));
    let server = AgentServer::new(backend.clone(), executor.clone()).with_auth(auth.clone());
    server.sync_system_assistants(&Tenant::default()).await?;
    tokio::spawn(Worker::new(backend, executor, WorkerSettings::default()).run(stop));
    let mine = Router::new()
        .route("/me", get(async |Extension(who): Extension<Identity>| who.identity))
        .layer(middleware::from_fn_with_state(Authenticator::new(auth), require_auth));
    Ok(mine.merge(server.router()))
}
