//! The platform without graphs: an executor that ends every run at once.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use langopen_api::AgentServer;
use langopen_core::executor::{GraphInfo, RunJob, RunOutput, RunResult, RunResultStatus};
use langopen_core::model::ThreadStatus;
use langopen_core::{Backend, Executor, RawJson, Tenant};
use langopen_worker::{Worker, WorkerSettings};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::{Environment, open};
use crate::bar::Bar;
use crate::cli::ServeEmptyOptions;
use crate::error::{Error, Result};
use crate::load::{Load, Scenario, Work, run};
use crate::report::Found;
use crate::server::{Server, free_port};

const RUNS_PER_SECOND: f64 = 1000.0;
const CLIENTS: usize = 64;
/// The number of runs that the worker executes at once.
pub(super) const CONCURRENCY: usize = 64;

pub(super) async fn measure(environment: &Environment) -> Result<Found> {
    let (database, port) = (environment.databases.make("empty").await?, free_port()?);
    let program = std::env::current_exe().map_err(|source| Error::Io { what: "this program".into(), source })?;
    let mut command = Command::new(program);
    command.args(["serve-empty", "--database", &database, "--redis", &environment.redis.url, "--port", &port]);
    let server = Server::start("empty", command, &environment.folder, &port).await?;
    let seconds = if environment.quick { 5.0 } else { 20.0 };
    let work = Work::new(server.client.clone(), Scenario::Wait, "noop", &json!({}), "values");
    let load = Load { clients: CLIENTS, warm_up: Duration::from_secs(2), window: Duration::from_secs_f64(seconds) };
    let measure = run(work, load).await;
    server.stop().await;
    let mut found = Found::default();
    found.figure(format!("empty runs, {CLIENTS} clients, p50"), measure.ms.map_or(f64::NAN, |ms| ms.p50), "ms");
    found.bars.extend([
        Bar::at_least("empty runs from create to terminal", Some(measure.per_s), Some(RUNS_PER_SECOND), "/s"),
        Bar::at_most("empty runs: failed requests", Some(measure.errors as f64), Some(0.0), ""),
    ]);
    found.notes.extend(measure.last_error.map(|error| format!("empty runs: {error}")));
    Ok(found)
}

/// `langopen-bench serve-empty`.
pub(crate) async fn serve(options: ServeEmptyOptions) -> Result<ExitCode> {
    let (backend, executor) = (backend(&options.database, &options.redis).await?, Arc::new(Empty));
    let server = AgentServer::new(backend.clone(), executor.clone());
    server.sync_system_assistants(&Tenant::default()).await?;
    let settings = WorkerSettings::default().with_concurrency(CONCURRENCY);
    tokio::spawn(Worker::new(backend, executor, settings).run(CancellationToken::new()));
    let failed = |source| Error::Io { what: "cannot serve".into(), source };
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await.map_err(failed)?;
    axum::serve(listener, server.router()).await.map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

/// A backend on its own connections.
pub(super) async fn backend(database: &str, redis: &str) -> Result<Backend> {
    let (postgres, events) = open::open(database, redis).await?;
    Ok(Backend::new(Arc::new(postgres), events))
}

/// An executor that ends every run at once.
pub(super) struct Empty;

/// A graph that does nothing.
pub(super) fn graph() -> GraphInfo {
    GraphInfo { graph_id: "noop".to_owned(), name: "noop".to_owned(), description: None, config: None }
}

/// The output of a run that did nothing.
pub(super) fn done() -> BoxStream<'static, langopen_core::Result<RunOutput>> {
    let result = RunResult {
        status: RunResultStatus::Success,
        thread_status: ThreadStatus::Idle,
        error: None,
        detail: None,
        retryable: false,
        interrupts: RawJson::from(json!({})),
        state: None,
    };
    stream::iter([Ok(RunOutput::Done(Box::new(result)))]).boxed()
}

#[async_trait]
impl Executor for Empty {
    async fn graphs(&self) -> langopen_core::Result<Vec<GraphInfo>> {
        Ok(vec![graph()])
    }

    async fn execute(&self, _: RunJob) -> langopen_core::Result<BoxStream<'static, langopen_core::Result<RunOutput>>> {
        Ok(done())
    }
}
