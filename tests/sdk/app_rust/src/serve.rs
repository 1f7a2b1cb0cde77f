//! The Agent Server API and its worker in one process, on SQLite or in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use langopen_api::AgentServer;
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_backends::sqlite::{Sqlite, SqliteOptions};
use langopen_core::{Backend, Executor, Tenant};
use langopen_graph::GraphExecutor;
use langopen_worker::{Worker, WorkerSettings};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long runs may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);

/// The options of `langopen up` that the suite gives.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Where to listen, on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// The folder of the data.
    #[arg(long)]
    data: PathBuf,
    /// `memory:` keeps everything in memory.
    #[arg(long)]
    database: Option<String>,
}

/// Serves until Ctrl-C; then hands the runs in flight back and ends.
pub(crate) async fn serve(options: Options, executor: GraphExecutor) -> Result<(), Box<dyn std::error::Error>> {
    let sqlite = if options.database.as_deref() == Some("memory:") {
        None
    } else {
        std::fs::create_dir_all(&options.data)?;
        Some(Sqlite::open(&options.data.join("langopen.db"), SqliteOptions::default()).await?)
    };
    let backend = match &sqlite {
        Some(sqlite) => Backend::new(Arc::new(sqlite.clone()), Arc::new(sqlite.event_log())),
        None => Backend::new(Arc::new(Memory::new()), Arc::new(MemoryEventLog::new())),
    };
    let executor: Arc<dyn Executor> = Arc::new(executor);
    let server = AgentServer::new(backend.clone(), executor.clone());
    server.sync_system_assistants(&Tenant::default()).await?;
    let settings = WorkerSettings::default().with_grace(GRACE).with_concurrency(40);
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(backend, executor, settings).run(stop.clone()));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
    let served = tokio::spawn(axum::serve(listener, server.router()).into_future());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        served = tokio::signal::ctrl_c() => served?,
        _ = terminate.recv() => {}
    }
    stop.cancel();
    worker.await?;
    served.abort();
    if let Some(sqlite) = sqlite {
        sqlite.close().await;
    }
    Ok(())
}
