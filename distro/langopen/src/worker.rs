//! `langopen-worker`: claims runs and sends them to runners.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::model::ThreadTtl;
use langopen_core::{Executor, Tenant};
use langopen_runner::{Announcement, RunnerSet};
use langopen_worker::{DeploymentRules, WebhookDispatcher, WebhookSettings, Worker, WorkerSettings};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::announce::say;
use crate::app;
use crate::clock::clock;
use crate::database::{self, Database};
use crate::error::CommandError;
use crate::metrics;
use crate::names::process_name;
use crate::probes::{self, Readiness};
use crate::program::listen;
use crate::serve::Signals;
use crate::settings::{self, Settings, WorkerOptions};

/// Works until Ctrl-C or SIGTERM. Then the worker claims no more runs, lets runs in flight end within the grace period,
/// and hands back the rest.
pub(crate) async fn run(options: WorkerOptions) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    let file = options.common.settings.clone();
    let settings = settings::load(file.as_deref(), options.overrides())?;
    let started = tokio::select! {
        started = start(&settings) => started?,
        () = signals.next() => return Ok(()),
    };
    let Started { database, runners, readiness, worker, stop, probes } = started;
    signals.next().await;
    say("stopping", "waiting for runs in flight; press Ctrl-C again to stop at once");
    readiness.drain();
    stop.cancel();
    tokio::select! {
        ended = worker => if let Err(error) = ended {
            error!(%error, "the worker did not stop cleanly");
        },
        () = signals.next() => return Ok(()),
    }
    runners.shut_down().await;
    database.close().await;
    probes.cancel();
    info!("the worker stopped");
    Ok(())
}

struct Started {
    database: Database,
    runners: Arc<RunnerSet>,
    readiness: Arc<Readiness>,
    worker: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
    probes: CancellationToken,
}

async fn start(settings: &Settings) -> Result<Started, CommandError> {
    let recorder = metrics::install()?;
    let (section, backend) = (&settings.worker, settings.backend()?);
    let name = process_name("worker");
    let mut client = settings.runners.client(name.clone())?;
    client.delivers_webhooks = section.webhooks;
    let working = working(settings, name)?;
    let (listener, address) = listen(section.host, section.port).await?;
    say("data", &backend.describe(Path::new("")));
    let database = Database::open(backend, Path::new("")).await?;
    let runners = Arc::new(RunnerSet::connect(client)?);
    let executor = Arc::clone(&runners) as Arc<dyn Executor>;
    let rules = Arc::new(Rules::new(Arc::clone(&runners), section.api_url.clone()));
    let worker = Worker::new(database.backend(), executor, working).with_rules(rules.clone());
    let dispatcher = match section.webhooks {
        true => {
            let dispatcher = WebhookDispatcher::new(database.outbox(), clock(), WebhookSettings::default())?;
            Some(dispatcher.with_rules(rules))
        }
        false => None,
    };
    let set = Arc::clone(&runners);
    let readiness = database::readiness(&database).likes("runners", move || std::future::ready(connected(&set)));
    let (readiness, stop, probes) = (Arc::new(readiness), CancellationToken::new(), CancellationToken::new());
    tokio::spawn(probes::serve(listener, Arc::clone(&readiness), recorder, probes.clone()));
    let worker = tokio::spawn(work(worker, dispatcher, stop.clone()));
    say("ready", &format!("http://{address}/readyz"));
    say("stop", "with Ctrl-C");
    Ok(Started { database, runners, readiness, worker, stop, probes })
}

/// `Ok` if a runner is connected. Otherwise the reason why none is.
pub(crate) fn connected(runners: &RunnerSet) -> Result<(), String> {
    if runners.is_ready() {
        return Ok(());
    }
    Err(runners.failure().unwrap_or_else(|| "none is connected".to_owned()))
}

fn working(settings: &Settings, name: String) -> Result<WorkerSettings, CommandError> {
    let section = &settings.worker;
    Ok(WorkerSettings::default()
        .with_name(name)
        .with_concurrency(usize::from(section.jobs.max(1)))
        .with_lease(section.lease()?)
        .with_max_attempts(section.job_max_retries.saturating_add(1))
        .with_run_timeout(Duration::from_secs(section.job_timeout_seconds))
        .with_grace(Duration::from_secs(section.grace_seconds))
        .with_crons(section.crons)
        .with_thread_sweep_interval(Duration::from_secs(section.thread_sweep_seconds.max(1)))
        .with_thread_sweep_limit(section.thread_sweep_limit)
        .with_item_sweep_interval(Duration::from_secs(section.item_sweep_seconds.max(1))))
}

/// Works until `stop`. It delivers webhooks until the last run has ended.
pub(crate) async fn work(worker: Worker, dispatcher: Option<WebhookDispatcher>, stop: CancellationToken) {
    let no_more_runs = CancellationToken::new();
    let webhooks = dispatcher.map(|dispatcher| tokio::spawn(dispatcher.run(no_more_runs.clone())));
    worker.run(stop).await;
    no_more_runs.cancel();
    if let Some(webhooks) = webhooks
        && let Err(error) = webhooks.await
    {
        tracing::warn!(%error, "the webhook dispatcher did not stop cleanly");
    }
}

/// The settings of deployments, from the announcements of their runners.
struct Rules {
    runners: Arc<RunnerSet>,
    api_url: Option<String>,
    webhooks: Mutex<HashMap<Tenant, Made>>,
}

/// An announcement, and the settings derived from it.
type Made = (Arc<Announcement>, Option<Arc<WebhookSettings>>);

impl Rules {
    fn new(runners: Arc<RunnerSet>, api_url: Option<String>) -> Self {
        Self { runners, api_url, webhooks: Mutex::default() }
    }
}

impl DeploymentRules for Rules {
    fn thread_ttl(&self, tenant: &Tenant) -> Option<ThreadTtl> {
        let announcement = self.runners.announcement(tenant)?;
        app::thread_ttl(&announcement.app).unwrap_or_else(|error| {
            error!(%tenant, %error, "the thread lifetimes that the deployment's runners announce are invalid");
            None
        })
    }

    fn webhooks(&self, tenant: &Tenant) -> Option<Arc<WebhookSettings>> {
        let announcement = self.runners.announcement(tenant)?;
        let mut made = self.webhooks.lock();
        if let Some((of, settings)) = made.get(tenant)
            && Arc::ptr_eq(of, &announcement)
        {
            return settings.clone();
        }
        let settings = app::webhook_settings(&announcement.app, &announcement.webhook_headers, self.api_url.clone());
        let settings = settings.map(Arc::new).inspect_err(|error| {
            error!(%tenant, %error, "the webhook settings that the deployment's runners announce are invalid");
        });
        made.insert(tenant.clone(), (announcement, settings.as_ref().ok().cloned()));
        settings.ok()
    }
}
