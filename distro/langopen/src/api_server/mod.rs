//! `langopen-api-server`: the Agent Server API of the deployments whose runners it knows.

mod deployments;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use langopen_api::Installation;
use langopen_core::Tenant;
use langopen_runner::RunnerSet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::announce::say;
use crate::app::{self, Login};
use crate::database::{self, Database};
use crate::error::CommandError;
use crate::keys;
use crate::metrics;
use crate::names::process_name;
use crate::probes::{self, Readiness};
use crate::program::listen;
use crate::serve::{self, Signals};
use crate::settings::{self, ApiServerOptions, Settings};
use crate::worker::connected;
use deployments::{Deployments, Making};

/// Serves until Ctrl-C or SIGTERM; then accepts nothing new, and what is in flight may end within the grace period.
pub(crate) async fn run(options: ApiServerOptions) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    let file = options.common.settings.clone();
    let settings = settings::load(file.as_deref(), options.overrides())?;
    let started = tokio::select! {
        started = start(&settings) => started?,
        () = signals.next() => return Ok(()),
    };
    let Started { listener, router, runners, readiness, database, stop } = started;
    let grace = Duration::from_secs(settings.api.grace_seconds);
    let drain = async { readiness.drain() };
    let served = serve::serve(listener, router, drain, grace, &mut signals).await;
    stop.cancel();
    runners.shut_down().await;
    database.close().await;
    info!("the API server stopped");
    served
}

struct Started {
    listener: TcpListener,
    router: Router,
    runners: Arc<RunnerSet>,
    readiness: Arc<Readiness>,
    database: Arc<Database>,
    stop: CancellationToken,
}

async fn start(settings: &Settings) -> Result<Started, CommandError> {
    let recorder = metrics::install()?;
    let (section, place) = (&settings.api, settings.place()?);
    let mut client = settings.runners.client(process_name("api-server"))?;
    client.serves_api = true;
    let records = section.api_keys.as_deref().map(keys::read).transpose()?.unwrap_or_default();
    let (listener, address) = listen(section.host, section.port).await?;
    say("data", &place.describe(Path::new("")));
    let database = Arc::new(Database::open(place, Path::new("")).await?);
    let keys = app::keys(records, database.storage())?;
    let runners = Arc::new(RunnerSet::connect(client)?);
    let deployments = Arc::new(Deployments::default());
    let (stop, making) = (
        CancellationToken::new(),
        Making {
            deployments: Arc::clone(&deployments),
            runners: Arc::clone(&runners),
            database: Arc::clone(&database),
            login: Login { keys: Arc::clone(&keys.ring), address: address.ip() },
            metrics: recorder.shown(&section.metric_prefix),
            crons: section.crons,
        },
    );
    // Whoever ends the server ends it too.
    tokio::spawn(making.keep(stop.clone()));
    let (storage, set, known) = (database.storage(), Arc::clone(&runners), Arc::clone(&deployments));
    let readiness = Readiness::default()
        .needs("database", move || {
            let storage = storage.clone();
            async move { database::answers(&*storage).await.map_err(|_| "it does not answer".to_owned()) }
        })
        .needs("deployments", move || {
            let any = !known.is_empty();
            async move { if any { Ok(()) } else { Err("no runner was seen yet".to_owned()) } }
        })
        .likes("runners", move || {
            let state = connected(&set);
            async move { state }
        });
    let readiness = Arc::new(readiness);
    let installation = Installation::new(deployments, database.storage()).with_keys(keys.ring);
    let installation = installation.with_default(Tenant::default()).router();
    let router = probes::router(Arc::clone(&readiness)).fallback_service(installation);
    say("API", &format!("http://{address}"));
    say("stop", "with Ctrl-C");
    Ok(Started { listener, router, runners, readiness, database, stop })
}
