//! `langopen-runner`: runs the graph hosts of one deployment for workers and API servers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use langopen_core::Tenant;
use langopen_runner::environment::Options;
use langopen_runner::{RunnerService, RunnerServiceSettings, Withheld};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::announce::say;
use crate::error::CommandError;
use crate::hosts::{Application, HostOptions};
use crate::isolation::{self, Isolation};
use crate::metrics;
use crate::names::process_name;
use crate::private;
use crate::probes::{self, Readiness};
use crate::program::listen;
use crate::serve::Signals;
use crate::settings::{self, RunnerOptions, RunnerSettings};

/// Runs graphs until Ctrl-C or SIGTERM. Then the runner accepts no new runs, and runs in flight may continue for the
/// grace period.
pub(crate) async fn run(options: RunnerOptions) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    let file = options.common.settings.clone();
    let settings = settings::load(file.as_deref(), options.overrides())?.runner;
    let grace = Duration::from_secs(settings.grace_seconds);
    let stop = CancellationToken::new();
    let service = tokio::select! {
        started = start(settings, stop.clone()) => started?,
        () = signals.next() => return Ok(()),
    };
    let Started { service, readiness } = service;
    signals.next().await;
    say("stopping", "waiting for runs in flight; press Ctrl-C again to stop at once");
    readiness.drain();
    let drained = tokio::select! {
        left = service.drain(grace) => left,
        () = signals.next() => return Ok(()),
    };
    if drained > 0 {
        warn!(runs = drained, "runs did not end within the grace period; their workers hand them back");
    }
    service.shut_down().await;
    stop.cancel();
    info!("the runner stopped");
    Ok(())
}

struct Started {
    service: Arc<RunnerService>,
    readiness: Arc<Readiness>,
}

async fn start(settings: RunnerSettings, stop: CancellationToken) -> Result<Started, CommandError> {
    let begin = Instant::now();
    let recorder = metrics::install()?;
    let (tenant, tls) = (settings.tenant()?, settings.tls()?);
    // Binds the ports before the slow steps, so a port in use is an error at once.
    let (listener, address) = listen(settings.host, settings.port).await?;
    let (health, health_address) = listen(settings.host, settings.health_port).await?;
    let started = Arc::new(std::sync::OnceLock::<Arc<RunnerService>>::new());
    let hosts = Arc::clone(&started);
    let readiness = Readiness::default().needs("hosts", move || {
        let ready = hosts.get().is_some_and(|service| service.is_ready());
        async move { if ready { Ok(()) } else { Err("no graph host is ready".to_owned()) } }
    });
    let readiness = Arc::new(readiness);
    tokio::spawn(probes::serve(health, Arc::clone(&readiness), recorder, stop));
    let service = serve(&settings, listener, address, tenant.clone(), tls).await?;
    let service = Arc::new(service);
    // This is the only place that sets it.
    let _ = started.set(Arc::clone(&service));
    say("ready", &format!("after {:.1} s", begin.elapsed().as_secs_f64()));
    say("runner", &format!("{address} (deployment {tenant})"));
    say("health", &format!("http://{health_address}/readyz"));
    Ok(Started { service, readiness })
}

async fn serve(
    settings: &RunnerSettings,
    listener: TcpListener,
    address: SocketAddr,
    tenant: Tenant,
    tls: Option<langopen_runner::ServerTls>,
) -> Result<RunnerService, CommandError> {
    let withheld = settings.token.iter().fold(Withheld::default(), |all, token| all.with_secret(token.expose()));
    let mut isolation = Isolation::new(settings.sandbox, &isolation::with_variables(withheld))?;
    let application = Application::read(&settings.config, &isolation.inherited)?;
    let service = RunnerServiceSettings {
        name: process_name("runner"),
        tenant,
        token: settings.token.clone(),
        tls,
        app: application.settings.clone(),
        webhook_headers: application.webhook_headers.clone(),
    };
    service.check(address)?;
    let data = settings.data.clone().unwrap_or_else(|| application.config.base_dir().join(".langopen"));
    private::folder(&data).map_err(|source| CommandError::DataFolder { path: data.clone(), source })?;
    let data: PathBuf =
        std::path::absolute(&data).map_err(|source| CommandError::DataFolder { path: data.clone(), source })?;
    isolation.hide_data(&data);
    let files = settings.secret_files.iter().chain(&settings.tls_key).chain(&settings.cache_dir);
    files.for_each(|path| isolation.hide(path));
    isolation.announce(settings.sandbox);
    let mut environment = Options::new(settings.cache_dir.clone().unwrap_or_else(|| data.join("environments")));
    environment.python.clone_from(&settings.python);
    let options = HostOptions {
        hosts: settings.hosts,
        environment,
        isolation,
        program_dir: data.join("host"),
        api_url: settings.api_url.clone().unwrap_or_else(|| "http://127.0.0.1:2024".to_owned()),
    };
    let pool = application.prepare(options).await?;
    Ok(RunnerService::start(listener, pool, service).await?)
}
