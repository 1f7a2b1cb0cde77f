//! `langopen up`: API, worker and graph hosts in this process, data in one folder.

pub(crate) mod data;
mod deployments;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use langopen_api::{BodyBudget, Installation, WorkerCounts};
use langopen_core::auth::{ApiKeyRecord, KeyRing};
use langopen_core::{Executor, Tenant};
use langopen_runner::HostPool;
use langopen_worker::{WebhookDispatcher, Worker};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::announce::{announce_ready, say};
use crate::app::{self, FromWithin, KeysNeeded, Login};
use crate::cli::UpOptions;
use crate::clock::clock;
use crate::connections::Limits;
use crate::database::{DataStore, Database};
use crate::error::CommandError;
use crate::hosts::Application;
use crate::isolation::Isolation;
use crate::keys;
use crate::metrics;
use crate::serve::{self, Signals};
use data::DataFolder;
use deployments::Deployments;

/// How long connections may stay open after the last run has ended.
const CONNECTION_GRACE: Duration = Duration::from_secs(1);

/// Serves the application until Ctrl-C or SIGTERM.
pub(crate) async fn up(options: UpOptions) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    let started = tokio::select! {
        started = start(options) => started?,
        () = signals.next() => return Ok(()),
    };
    let Started { listener, router, limits, pool, database, worker, stop, data } = started;
    let drain = async {
        stop.cancel();
        if let Err(error) = worker.await {
            tracing::warn!(%error, "the worker did not stop cleanly");
        }
    };
    let served = serve::serve(listener, router, limits, drain, CONNECTION_GRACE, &mut signals).await;
    pool.shut_down().await;
    database.close().await;
    drop(data);
    served
}

/// The parts that run once the server is ready.
struct Started {
    listener: TcpListener,
    router: axum::Router,
    limits: Limits,
    pool: Arc<HostPool>,
    database: Arc<Database>,
    worker: JoinHandle<()>,
    stop: CancellationToken,
    /// The lock on the data folder, held until the process ends.
    data: DataFolder,
}

/// The data store, from the options or from the variables of LangGraph's own servers.
fn backend(options: &UpOptions) -> Result<DataStore, CommandError> {
    let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let database = options.database()?.or_else(|| given("DATABASE_URI")).or_else(|| given("POSTGRES_URI"));
    // `--redis` without a Postgres is an error. `REDIS_URI` without one is not, because it may be the application's
    // own.
    let redis = options
        .redis()?
        .or_else(|| database.as_ref().filter(|url| url.starts_with("postgres")).and_then(|_| given("REDIS_URI")));
    Ok(DataStore::of(database.as_deref(), redis.as_deref())?.with_redis_prefix(&options.redis_prefix))
}

async fn start(options: UpOptions) -> Result<Started, CommandError> {
    let begin = Instant::now();
    let backend = backend(&options)?;
    let recorder = metrics::install()?;
    let mut isolation = Isolation::new(options.sandbox, &backend.withheld())?;
    let application = Application::read(&options.config, &isolation.inherited)?;
    let records = options.api_keys.as_deref().map(keys::read).transpose()?;
    let data = DataFolder::open(&options, &application.config)?;
    say("data", &backend.describe(data.path()));
    isolation.hide_data(data.path());
    for path in [&options.cache_dir, &options.api_keys, &options.database_file, &options.redis_file] {
        path.iter().for_each(|path| isolation.hide(path));
    }
    isolation.announce(options.sandbox);
    // The port is bound before the slow steps, so that a port in use is an error at once.
    let address = SocketAddr::new(options.host, options.port);
    let listener = TcpListener::bind(address).await.map_err(|source| CommandError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| CommandError::Listen { address, source })?;
    let api_url = format!("http://{address}");
    let file = if matches!(backend, DataStore::Sqlite) { data.database()? } else { PathBuf::new() };
    let database = Arc::new(Database::open(backend, &file).await?);

    let app = &application.settings;
    let working = settings::worker(&options, app)?;
    let webhooks = app::webhook_settings(app, &application.webhook_headers, Some(app::own_url(address)))?;
    // The API settings are checked before the slow steps too.
    let mounted = format!("{api_url}{}", app::api_settings(app)?.mount_prefix.unwrap_or_default());
    let hosts = application.prepare(settings::hosts(&options, &data, isolation, &api_url)).await?;
    let pool = Arc::new(HostPool::start(hosts).await?);
    let executor = Arc::clone(&pool) as Arc<dyn Executor>;
    let worker = Worker::new(database.backend(), executor, working);
    let dispatcher = WebhookDispatcher::new(database.outbox(), clock(), webhooks)?;
    let slots = worker.slots();
    let count = move || WorkerCounts { max: slots.max(), active: slots.active() };
    let needed = if records.is_some() { KeysNeeded::Always } else { KeysNeeded::FromFirst };
    let records = records.unwrap_or_default();
    let known = records.iter().map(ApiKeyRecord::tenant).collect::<Result<_, _>>()?;
    let keys = Arc::new(KeyRing::new(records).with_stored(database.api_keys(), clock()));
    let deployments = Arc::new(Deployments {
        database: Arc::clone(&database),
        pool: Arc::clone(&pool),
        app: app.clone(),
        login: Login { keys: Arc::clone(&keys), needed, address: address.ip() },
        metrics: recorder.shown(&options.metric_prefix).with_workers(count),
        bodies: BodyBudget::new(options.max_body_bytes_in_flight),
        crons: options.crons,
        known,
        first: Mutex::default(),
    });
    if let Err(error) = deployments.prepare().await {
        pool.shut_down().await;
        return Err(error);
    }
    // Requests that name no deployment go to the default one.
    let installation = Installation::new(deployments, database.deployments()).with_keys(keys);
    let router = installation.with_default(Tenant::default()).router();
    pool.connect(Arc::new(FromWithin(router.clone())));
    let stop = CancellationToken::new();
    let worker = tokio::spawn(crate::worker::work(worker, Some(dispatcher), stop.clone()));
    announce_ready(&mounted, pool.graphs().await?, begin.elapsed());
    let limits = Limits { write_timeout: Duration::from_secs(options.write_timeout_seconds) };
    Ok(Started { listener, router, limits, pool, database, worker, stop, data })
}
