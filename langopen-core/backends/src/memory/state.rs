//! The maps that hold the rows, and lookups in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::{ApiKeyId, AssistantId, CronId, RunId, ThreadId};
use langopen_core::json::RawJson;
use langopen_core::model::{
    Assistant, CancelRequest, Deployment, DeploymentLimits, FieldVector, PendingWrite, Run, StoreItem, StoredApiKey,
    Thread,
};
use langopen_core::outbox::{Delivery, FailedDelivery};
use langopen_core::queue::Losses;
use langopen_core::tenant::{Scope, Tenant};

use super::crons::CronRow;
use crate::rules::documents::in_scope;

/// The sort key of a run in a set: a time, then the run's id.
pub(super) type Slot = (Timestamp, RunId);

/// The tenant, the namespace and the key of a store item.
pub(super) type ItemKey = (Tenant, Vec<String>, String);

#[derive(Default)]
pub(super) struct State {
    pub(super) assistants: HashMap<(Tenant, AssistantId), AssistantRow>,
    pub(super) threads: HashMap<ThreadId, ThreadRow>,
    pub(super) runs: HashMap<RunId, RunRow>,
    /// Ready runs by tenant, in their start order. No set is empty.
    pub(super) ready: BTreeMap<Tenant, BTreeSet<Slot>>,
    /// Pending runs whose start time was in the future, by start time.
    pub(super) delayed: BTreeSet<Slot>,
    /// Running runs by the expiry of their lease.
    pub(super) leases: BTreeSet<Slot>,
    pub(super) items: BTreeMap<ItemKey, ItemRow>,
    pub(super) crons: HashMap<CronId, CronRow>,
    pub(super) deliveries: HashMap<RunId, DeliveryRow>,
    /// All deliveries by the time they become due. A claimed delivery becomes due when its lease expires.
    pub(super) due_deliveries: BTreeSet<Slot>,
    pub(super) failed_deliveries: Vec<(Tenant, FailedDelivery)>,
    pub(super) deployments: BTreeMap<Tenant, Deployment>,
    pub(super) api_keys: BTreeMap<ApiKeyId, StoredApiKey>,
}

pub(super) struct AssistantRow {
    /// The number of the current version.
    pub(super) version: i64,
    pub(super) versions: BTreeMap<i64, Assistant>,
}

pub(super) struct ThreadRow {
    pub(super) tenant: Tenant,
    pub(super) thread: Thread,
    /// The root checkpoint that the thread's values belong to, and the rest of its latest state.
    pub(super) state: Option<(String, RawJson)>,
    /// All runs of the thread, by creation time.
    pub(super) runs: BTreeSet<Slot>,
    /// Pending runs by start time.
    pub(super) pending: BTreeSet<Slot>,
    /// The ready run. `None` while a run of the thread is running.
    pub(super) ready: Option<RunId>,
    pub(super) running: Option<RunId>,
    /// The number of checkpoints that the thread has accepted. The next checkpoint's position is one higher.
    pub(super) accepted: u64,
    /// Checkpoints by namespace and id.
    pub(super) checkpoints: BTreeMap<(String, String), CheckpointRow>,
    /// The values of channels by namespace, channel and version.
    pub(super) blobs: HashMap<(String, String, String), (String, Bytes)>,
    /// Pending writes by namespace, checkpoint, task and index.
    pub(super) writes: BTreeMap<(String, String, String, i64), WriteRow>,
}

#[derive(Clone)]
pub(super) struct CheckpointRow {
    /// The order in which the thread accepted its checkpoints. The latest checkpoint has the highest position.
    pub(super) position: u64,
    pub(super) parent_checkpoint_id: Option<String>,
    pub(super) run_id: Option<RunId>,
    pub(super) kind: String,
    pub(super) bytes: Bytes,
    pub(super) metadata: RawJson,
    pub(super) channel_versions: Vec<(String, String)>,
}

#[derive(Clone)]
pub(super) struct WriteRow {
    pub(super) run_id: Option<RunId>,
    pub(super) task_path: String,
    pub(super) write: PendingWrite,
}

pub(super) struct RunRow {
    pub(super) tenant: Tenant,
    pub(super) run: Run,
    pub(super) available_at: Timestamp,
    pub(super) lease_expires_at: Option<Timestamp>,
    pub(super) cancel: Option<CancelRequest>,
    pub(super) losses: Losses,
}

pub(super) struct ItemRow {
    pub(super) item: StoreItem,
    pub(super) ttl_minutes: Option<f64>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) vectors: Vec<FieldVector>,
}

pub(super) struct DeliveryRow {
    pub(super) delivery: Delivery,
    pub(super) due_at: Timestamp,
    pub(super) claimed: bool,
}

impl AssistantRow {
    pub(super) fn in_force(&self) -> Option<&Assistant> {
        self.versions.get(&self.version)
    }
}

impl ThreadRow {
    pub(super) fn new(tenant: Tenant, thread: Thread) -> Self {
        Self {
            tenant,
            thread,
            state: None,
            runs: BTreeSet::new(),
            pending: BTreeSet::new(),
            ready: None,
            running: None,
            accepted: 0,
            checkpoints: BTreeMap::new(),
            blobs: HashMap::new(),
            writes: BTreeMap::new(),
        }
    }

    pub(super) fn in_flight(&self) -> bool {
        self.running.is_some() || !self.pending.is_empty()
    }

    pub(super) fn visible(&self, scope: &Scope) -> bool {
        in_scope(scope, &self.tenant, &self.thread.metadata)
    }
}

impl State {
    pub(super) fn thread(&self, scope: &Scope, id: ThreadId) -> Option<&ThreadRow> {
        self.threads.get(&id).filter(|row| row.visible(scope))
    }

    pub(super) fn thread_mut(
        &mut self,
        operation: &'static str,
        scope: &Scope,
        id: ThreadId,
    ) -> Result<&mut ThreadRow> {
        self.threads
            .get_mut(&id)
            .filter(|row| row.visible(scope))
            .ok_or_else(|| Error::not_found(operation, format!("there is no thread {id}")))
    }

    pub(super) fn limits(&self, tenant: &Tenant) -> DeploymentLimits {
        self.deployments.get(tenant).map(|row| row.limits).unwrap_or_default()
    }

    /// The run, if it is on that thread and the scope shows the thread.
    pub(super) fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Option<&RunRow> {
        self.thread(scope, thread_id)?;
        self.runs.get(&run_id).filter(|row| row.run.thread_id == thread_id)
    }

    /// Removes a thread with its runs, checkpoints and crons. Returns the runs that were in flight.
    pub(super) fn remove_thread(&mut self, id: ThreadId) -> Vec<RunId> {
        let runs: Vec<_> = self.threads.get(&id).into_iter().flat_map(|row| &row.runs).map(|slot| slot.1).collect();
        let removed: Vec<_> = runs.into_iter().filter_map(|run_id| self.remove_run(run_id)).collect();
        self.threads.remove(&id);
        self.crons.retain(|_, row| row.cron.thread_id != Some(id));
        removed.iter().map(|row| &row.run).filter(|run| !run.status.is_terminal()).map(|run| run.run_id).collect()
    }
}
