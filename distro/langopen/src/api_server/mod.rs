//! `langopen-api-server`: serves the Agent Server API of every deployment that has a runner.

mod deployments;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use langopen_api::{BodyBudget, Installation};
use langopen_core::auth::KeyRing;
use langopen_runner::RunnerSet;
use tokio::net::TcpListener;
use tracing::info;

use crate::announce::say;
use crate::app::{FromWithin, KeysNeeded, Login};
use crate::clock::clock;
use crate::connections::Limits;
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
use deployments::Deployments;

/// Serves until Ctrl-C or SIGTERM. Then the server accepts no new requests, and requests in flight may run for the
/// grace period.
pub(crate) async fn run(options: ApiServerOptions) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    let file = options.common.settings.clone();
    let settings = settings::load(file.as_deref(), options.overrides())?;
    let started = tokio::select! {
        started = start(&settings) => started?,
        () = signals.next() => return Ok(()),
    };
    let Started { listener, router, runners, readiness, database } = started;
    let grace = Duration::from_secs(settings.api.grace_seconds);
    let drain = async { readiness.drain() };
    let limits = Limits { write_timeout: Duration::from_secs(settings.api.write_timeout_seconds.max(1)) };
    let served = serve::serve(listener, router, limits, drain, grace, &mut signals).await;
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
}

async fn start(settings: &Settings) -> Result<Started, CommandError> {
    let recorder = metrics::install()?;
    let (section, backend) = (&settings.api, settings.backend()?);
    let mut client = settings.runners.client(process_name("api-server"))?;
    client.serves_api = true;
    let (default, records) = (section.tenant()?, section.api_keys.as_deref().map(keys::read).transpose()?);
    let (listener, address) = listen(section.host, section.port).await?;
    say("data", &backend.describe(Path::new("")));
    let database = Arc::new(Database::open(backend, Path::new("")).await?);
    let runners = Arc::new(RunnerSet::connect(client)?);
    let keys = KeyRing::new(records.unwrap_or_default());
    let keys = Arc::new(keys.with_stored(database.api_keys(), clock()));
    let login = Login { keys: Arc::clone(&keys), needed: section.needed_keys(), address: address.ip() };
    if login.needed != KeysNeeded::Always && !address.ip().is_loopback() {
        say("note", &format!("anyone who reaches {address} has full access to deployments without auth.path"));
    }
    let source = Deployments {
        runners: Arc::clone(&runners),
        database: Arc::clone(&database),
        login,
        metrics: recorder.shown(&section.metric_prefix),
        bodies: BodyBudget::new(section.max_body_bytes_in_flight),
        crons: section.crons,
    };
    let mut installation = Installation::new(Arc::new(source), database.deployments())
        .with_clock(clock())
        .with_keys(keys)
        .with_root(root(recorder));
    if let Some(default) = default {
        installation = installation.with_default(default);
    }
    let installation = installation.router();
    runners.serve(Arc::new(FromWithin(installation.clone())));
    let readiness = Arc::new(readiness(&database, &runners));
    let router = probes::router(Arc::clone(&readiness)).fallback_service(installation);
    say("API", &format!("http://{address}"));
    say("health", &format!("http://{address}/readyz"));
    say("stop", "with Ctrl-C");
    Ok(Started { listener, router, runners, readiness, database })
}

/// The routes outside of all deployments.
fn root(recorder: metrics::Recorder) -> Router {
    Router::new()
        .route("/ok", get(async || axum::Json(serde_json::json!({"ok": true}))))
        .route("/metrics", get(move || std::future::ready(probes::exposition(&recorder))))
}

fn readiness(database: &Database, runners: &Arc<RunnerSet>) -> Readiness {
    let (set, seen) = (Arc::clone(runners), Arc::clone(runners));
    database::readiness(database)
        .needs("deployments", move || {
            let any = !seen.deployments().is_empty();
            std::future::ready(if any { Ok(()) } else { Err("no runner was seen yet".to_owned()) })
        })
        .likes("runners", move || std::future::ready(connected(&set)))
}
