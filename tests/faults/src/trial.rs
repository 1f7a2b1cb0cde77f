//! One trial: a platform, clients, faults, and the checks afterwards.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::check::{self, Evidence, Violation};
use crate::cli::Cli;
use crate::error::{Result, io};
use crate::faults::{Breaking, Incident, available, heal};
use crate::load::{Api, Client, History, Hooks, Kind};
use crate::platform::Platform;

/// How long clients may wait for the ends of their last runs after the last fault. A run that is still in flight then
/// is lost, and reported.
const TO_END: Duration = Duration::from_secs(240);

/// How long the webhooks may take after that.
const TO_TELL: Duration = Duration::from_secs(90);

/// The results of a trial.
pub(crate) struct Trial {
    pub(crate) seed: u64,
    pub(crate) incidents: Vec<Incident>,
    /// The numbers of runs that clients requested, that were accepted, and that were attempted more than once.
    pub(crate) asked: usize,
    pub(crate) accepted: usize,
    pub(crate) repeated: usize,
    /// How often clients rejoined a run.
    pub(crate) rejoined: u64,
    pub(crate) violations: Vec<Violation>,
    /// The platform's log lines about the violations.
    pub(crate) logs: Vec<String>,
}

pub(crate) async fn run(cli: &Cli, seed: u64, folder: &Path) -> Result<Trial> {
    let platform = Arc::new(Platform::start(cli, folder).await?);
    let faults = available(&platform, &cli.faults)?;
    let (api, history, hooks) = (Api::new(&platform.urls)?, History::default(), Hooks::start().await?);
    let stop = CancellationToken::new();
    let mut clients = JoinSet::new();
    for number in 0..cli.clients {
        let client = Client::new(number, seed, api.clone(), history.clone(), hooks.url.clone(), stop.clone());
        clients.spawn(client.run());
    }
    let incidents = Breaking::new(Arc::clone(&platform), faults, seed).run(Duration::from_secs(cli.seconds)).await;
    heal(&platform).await;
    stop.cancel();
    let ended = async { while clients.join_next().await.is_some() {} };
    // A client that is not done by then waits for something that is lost. The checks report it.
    let _ = tokio::time::timeout(TO_END, ended).await;
    clients.abort_all();
    until_told(&history, &hooks).await;
    let evidence = gather(&platform, folder, &api, &history, &hooks, incidents).await?;
    platform.stop().await;
    keep(folder, "history.json", &evidence.entries)?;
    keep(folder, "faults.json", &evidence.incidents)?;
    let accepted = evidence.entries.iter().filter(|entry| entry.run_id.is_some());
    let repeated = evidence.lines.values().filter(|lines| lines.iter().any(|line| line.attempt > 1));
    let violations = check::check(&evidence);
    Ok(Trial {
        seed,
        asked: evidence.entries.len(),
        accepted: accepted.count(),
        repeated: repeated.count(),
        rejoined: evidence.entries.iter().map(|entry| u64::from(entry.rejoined)).sum(),
        logs: logs(folder, &ids(&violations))?,
        violations,
        incidents: evidence.incidents,
    })
}

/// The ids of the runs and threads that the violations name.
fn ids(violations: &[Violation]) -> Vec<&str> {
    let no_id = |c: char| !c.is_ascii_hexdigit() && c != '-';
    violations.iter().flat_map(|found| found.of.split(no_id)).filter(|word| word.len() == 36).collect()
}

/// The log lines of all processes that name one of the runs or threads, each after the name of its log.
fn logs(folder: &Path, ids: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).map_err(io("the trial's folder"))?.flatten() {
        let path = file.path();
        if ids.is_empty() || path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let (name, text) = (file.file_name(), std::fs::read(&path).map_err(io("a log"))?);
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().filter(|line| ids.iter().any(|id| line.contains(id)));
        found.extend(lines.map(|line| format!("{}: {line}", name.display())));
    }
    Ok(found)
}

fn keep(folder: &Path, name: &str, what: &impl Serialize) -> Result<()> {
    std::fs::write(folder.join(name), serde_json::to_vec(what).unwrap_or_default()).map_err(io(name))
}

/// Waits until webhooks have reported the end of each run with a webhook.
async fn until_told(history: &History, hooks: &Hooks) {
    let reported = async {
        loop {
            let reported = hooks.reported();
            let waits = |entry: &crate::load::Entry| {
                let ended = entry.statuses.last().is_some_and(|status| status == "success");
                entry.hooked && ended && entry.run_id.as_ref().is_some_and(|run_id| !reported.contains_key(run_id))
            };
            if !history.entries().iter().any(waits) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    // The checks report missing webhooks.
    let _ = tokio::time::timeout(TO_TELL, reported).await;
}

async fn gather(
    platform: &Platform,
    folder: &Path,
    api: &Api,
    history: &History,
    hooks: &Hooks,
    incidents: Vec<Incident>,
) -> Result<Evidence> {
    let entries = history.entries();
    let (mut statuses, mut values) = (HashMap::new(), HashMap::new());
    for entry in entries.iter().filter(|entry| entry.kind != Kind::Stateless) {
        let Some(run_id) = &entry.run_id else { continue };
        statuses.insert(run_id.clone(), api.status(&entry.thread_id, run_id).await);
        if !values.contains_key(&entry.thread_id) {
            let state = api.get(&format!("/threads/{}/state", entry.thread_id)).await.unwrap_or_default();
            values.insert(entry.thread_id.clone(), state.get("values").cloned().unwrap_or_default());
        }
    }
    let mut items = HashMap::new();
    for entry in &entries {
        let Some(run_id) = &entry.run_id else { continue };
        let answered = entry.answer.as_ref().is_some_and(|answer| answer.get("log").is_some());
        if statuses.get(run_id).is_some_and(|status| status == "success") || answered {
            let item = api.get(&format!("/store/items?namespace=steps.{run_id}&key=last")).await.unwrap_or_default();
            items.insert(run_id.clone(), item.get("value").cloned().unwrap_or_default());
        }
    }
    let in_flight = match &platform.postgres {
        Some(postgres) => {
            let rows = postgres.ask("SELECT run_id, status, attempt FROM runs WHERE status IN ('pending', 'running')");
            rows.await?.lines().map(str::to_owned).collect()
        }
        None => Vec::new(),
    };
    let steps = std::fs::read_to_string(&platform.app.steps).map_err(io("steps.txt"))?;
    let lines = check::parse(&steps);
    // The API shows only the error of a thread's last run.
    let accepted: Vec<_> = entries.iter().filter_map(|entry| entry.run_id.as_deref()).collect();
    let errors = logs(folder, &accepted)?.into_iter().filter(|line| line.contains(" ERROR ")).collect();
    let reported = hooks.reported();
    Ok(Evidence { entries, lines, incidents, reported, statuses, errors, values, items, in_flight })
}
