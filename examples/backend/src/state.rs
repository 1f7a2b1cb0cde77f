//! The tables, and how calls find rows in them.

use std::collections::BTreeMap;

use langopen_backends::rules::documents::in_scope;
use langopen_backends::rules::run;
use langopen_core::model::{Deployment, DeploymentLimits, Run, StoredApiKey};
use langopen_core::outbox::FailedDelivery;
use langopen_core::queue::Lease;
use langopen_core::{ApiKeyId, AssistantId, CronId, Error, Result, RunId, RunStatus, Scope, Tenant, ThreadId};

use crate::assistants::AssistantRow;
use crate::crons::CronRow;
use crate::hints::Hints;
use crate::line::Entry;
use crate::outbox::DeliveryRow;
use crate::store_items::{ItemKey, ItemRow};
use crate::threads::ThreadRow;

/// All tables.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) assistants: BTreeMap<(Tenant, AssistantId), AssistantRow>,
    pub(crate) threads: BTreeMap<ThreadId, ThreadRow>,
    pub(crate) runs: BTreeMap<RunId, RunRow>,
    /// The runs in flight. A run has an entry while it is pending or running, so the queue never reads ended runs.
    pub(crate) line: BTreeMap<RunId, Entry>,
    pub(crate) items: BTreeMap<ItemKey, ItemRow>,
    pub(crate) crons: BTreeMap<CronId, CronRow>,
    pub(crate) deliveries: BTreeMap<RunId, DeliveryRow>,
    pub(crate) failed_deliveries: Vec<(Tenant, FailedDelivery)>,
    pub(crate) deployments: BTreeMap<Tenant, Deployment>,
    pub(crate) api_keys: BTreeMap<ApiKeyId, StoredApiKey>,
    pub(crate) hints: Hints,
}

pub(crate) struct RunRow {
    pub(crate) tenant: Tenant,
    pub(crate) run: Run,
}

impl ThreadRow {
    pub(crate) fn is_visible(&self, scope: &Scope) -> bool {
        in_scope(scope, &self.tenant, &self.thread.metadata)
    }
}

impl State {
    /// The thread, if the scope shows it.
    pub(crate) fn thread(&self, scope: &Scope, id: ThreadId) -> Option<&ThreadRow> {
        self.threads.get(&id).filter(|row| row.is_visible(scope))
    }

    /// The same, to change it.
    pub(crate) fn thread_mut(
        &mut self,
        operation: &'static str,
        scope: &Scope,
        id: ThreadId,
    ) -> Result<&mut ThreadRow> {
        let row = self.threads.get_mut(&id).filter(|row| row.is_visible(scope));
        row.ok_or_else(|| Error::not_found(operation, format!("there is no thread {id}")))
    }

    /// The run, if it is on this thread and the scope shows the thread.
    pub(crate) fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Option<&RunRow> {
        self.thread(scope, thread_id)?;
        self.runs.get(&run_id).filter(|row| row.run.thread_id == thread_id)
    }

    pub(crate) fn limits(&self, tenant: &Tenant) -> DeploymentLimits {
        self.deployments.get(tenant).map(|row| row.limits).unwrap_or_default()
    }

    /// Refuses a write whose lease is lost. A write without a lease belongs to no run.
    ///
    /// The caller still holds the lock when it writes, so no later attempt can begin in between.
    pub(crate) fn must_hold(&self, operation: &'static str, lease: Option<Lease>) -> Result<()> {
        let Some(lease) = lease else { return Ok(()) };
        match self.runs.get(&lease.run_id) {
            Some(RunRow { run, .. }) if run.status == RunStatus::Running && run.attempt == lease.attempt => Ok(()),
            _ => Err(run::lease_lost(operation, lease)),
        }
    }

    /// Removes a run's row, and its entry if the run is in flight. Returns whether it was. Its checkpoints stay.
    pub(crate) fn remove_run(&mut self, run_id: RunId) -> bool {
        let entry = self.leave_line(run_id);
        if entry.is_some() {
            // The worker of a running run stops at once. A pending run has no worker, and nobody acts on its signal.
            self.hints.cancel(run::deleted(run_id));
        }
        self.runs.remove(&run_id);
        entry.is_some()
    }

    /// Removes a thread with its runs, checkpoints and crons. Returns the runs that were in flight.
    pub(crate) fn remove_thread(&mut self, id: ThreadId) -> Vec<RunId> {
        let runs = self.runs.iter().filter(|(_, row)| row.run.thread_id == id).map(|(run_id, _)| *run_id);
        let mut runs: Vec<_> = runs.collect();
        runs.retain(|run_id| self.remove_run(*run_id));
        self.threads.remove(&id);
        self.crons.retain(|_, row| row.cron.thread_id != Some(id));
        runs
    }
}
