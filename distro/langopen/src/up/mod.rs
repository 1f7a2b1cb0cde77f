//! `langopen up`: API, worker and graph hosts in this process, data in one folder.

pub(crate) mod announce;
mod auth;
pub(crate) mod data;
pub(crate) mod database;
mod http;
mod retention;
mod serve;
mod settings;
mod web_app;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use langopen_api::AgentServer;
use langopen_core::{Executor, SystemClock};
use langopen_runner::environment::{EnvironmentPlan, Progress};
use langopen_runner::{AppConfig, HostPool};
use langopen_worker::{Services, WebhookDispatcher, Worker};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::UpOptions;
use crate::error::CommandError;
use crate::metrics;
use announce::{announce_ready, say};
use data::DataFolder;
use database::{Database, IN_MEMORY};
use serve::Signals;
use web_app::{FromWithin, PoolApp};

/// Serves the application until Ctrl-C or SIGTERM.
pub(crate) async fn up(options: UpOptions) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    let started = tokio::select! {
        started = start(options) => started?,
        () = signals.next() => return Ok(()),
    };
    let Started { listener, router, pool, database, worker, stop, data } = started;
    let served = serve::serve(listener, router, stop, worker, signals).await;
    pool.shut_down().await;
    database.close().await;
    drop(data);
    served
}

/// Everything that runs once the server is ready.
struct Started {
    listener: TcpListener,
    router: axum::Router,
    pool: Arc<HostPool>,
    database: Database,
    worker: JoinHandle<()>,
    stop: CancellationToken,
    /// Held until the end: the folder is this process's alone.
    data: DataFolder,
}

async fn start(options: UpOptions) -> Result<Started, CommandError> {
    let begin = Instant::now();
    let in_memory = in_memory(&options)?;
    let recorder = metrics::install()?;
    let config = read_config(&options)?;
    let keys = auth::keys(&options)?;
    let data = DataFolder::open(&options, &config)?;
    match in_memory {
        true => say("data", "in memory: it is gone when this process ends"),
        false => say("data", &format!("{} (SQLite)", data.path().display())),
    }
    // The port is taken before the slow steps, so that a port in use is told at once.
    let address = SocketAddr::new(options.host, options.port);
    let listener = TcpListener::bind(address).await.map_err(|source| CommandError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| CommandError::Listen { address, source })?;
    let api_url = format!("http://{address}");
    let database = Database::open(in_memory, &data.database()).await?;

    let env = config.resolve_env()?;
    let mut api = settings::api(&config, &env)?;
    let working = settings::worker(&options, &config, &env)?;
    let webhooks = webhooks::settings(&config, &env, address)?;
    api.webhooks = Some(webhooks.policy.clone());
    api.crons = options.crons;
    let mounted = format!("{api_url}{}", api.mount_prefix.as_deref().unwrap_or_default());
    let plan = EnvironmentPlan::new(&config, settings::environment(&options, &data)).await?;
    let environment = plan.ensure(|progress| say_progress(&progress)).await?;
    let python = environment.python.display();
    say("environment", &format!("{python}{}", if environment.fresh { "" } else { " (cached)" }));
    say("graphs", &format!("loading in {} Python processes", options.hosts));
    let pool = settings::pool(&options, &config, environment, env, &data, &mounted, api.mount_prefix.as_deref());
    let pool = Arc::new(HostPool::start(pool).await?);
    let tenants = auth::tenants(keys.as_ref())?;
    let login = match auth::login(keys, config.auth.as_ref(), &pool, address.ip()) {
        Ok(login) => login,
        Err(error) => {
            pool.shut_down().await;
            return Err(error);
        }
    };
    if let Some(version) = pool.langgraph_version() {
        version.clone_into(&mut api.langgraph_version);
    }

    let services = Services {
        queue: database.queue(),
        storage: database.storage(),
        events: database.events(),
        executor: Arc::clone(&pool) as Arc<dyn Executor>,
        clock: Arc::new(SystemClock),
    };
    let worker = Worker::new(services.clone(), working);
    let dispatcher = WebhookDispatcher::new(database.outbox(), Arc::new(SystemClock), webhooks)?;
    let mut server = AgentServer::new(
        services.storage.clone(),
        services.queue.clone(),
        services.events.clone(),
        services.executor.clone(),
    )
    .with_auth(login)
    .with_settings(api)
    .with_metrics(recorder.shown(worker.slots(), &options.metric_prefix));
    if let Some(app) = PoolApp::of(&pool) {
        server = server.with_app(Arc::new(app), settings::web_app(&config));
    }
    let indexed = config.store.as_ref().is_some_and(|store| store.index.is_some());
    let server = if indexed { server.with_embedder(pool.clone()) } else { server };
    for tenant in &tenants {
        server.sync_system_assistants(tenant).await?;
    }
    let stop = CancellationToken::new();
    let worker = tokio::spawn(work(worker, dispatcher, stop.clone()));
    announce_ready(&mounted, pool.graphs().await?, begin.elapsed());
    let router = server.router();
    pool.connect(Arc::new(FromWithin(router.clone())));
    Ok(Started { listener, router, pool, database, worker, stop, data })
}

/// Works until `stop`. Webhooks are told as long as runs may end.
async fn work(worker: Worker, dispatcher: WebhookDispatcher, stop: CancellationToken) {
    let no_more_runs = CancellationToken::new();
    let webhooks = tokio::spawn(dispatcher.run(no_more_runs.clone()));
    worker.run(stop).await;
    no_more_runs.cancel();
    if let Err(error) = webhooks.await {
        tracing::warn!(%error, "the delivery of webhooks did not stop in order");
    }
}

/// Whether data is kept in memory.
fn in_memory(options: &UpOptions) -> Result<bool, CommandError> {
    if options.redis.is_some() {
        return Err(CommandError::OptionUnavailable { option: "redis" });
    }
    match options.database.as_deref() {
        None => Ok(false),
        Some(IN_MEMORY) => Ok(true),
        Some(_) => Err(CommandError::OptionUnavailable { option: "database" }),
    }
}

fn read_config(options: &UpOptions) -> Result<AppConfig, CommandError> {
    let config = AppConfig::load(&options.config)?;
    let (fatal, rest): (Vec<_>, Vec<_>) = config.require_supported().into_iter().partition(|found| found.fatal);
    if !fatal.is_empty() {
        return Err(CommandError::Unsupported { path: options.config.clone(), found: fatal });
    }
    let names = config.graphs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    say("config", &format!("{} (graphs: {names})", options.config.display()));
    for found in rest {
        say("note", &found.to_string());
    }
    Ok(config)
}

fn say_progress(progress: &Progress) {
    match progress {
        Progress::Output(line) => say("", line),
        step => say("environment", &step.to_string()),
    }
}
