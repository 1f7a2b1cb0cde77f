use std::sync::Arc;

use langopen_core::auth::{ApiKeyHash, KeyScope};
use langopen_core::ids::{ApiKeyId, AssistantId, CronId, RunId, ThreadId};
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{
    Assistant, AssistantPatch, AssistantQuery, AssistantVersionQuery, CheckpointKey, CheckpointList, CheckpointTuple,
    Cron, CronFiring, CronPatch, CronQuery, Deployment, DeploymentSpec, DueCrons, FoundRuns, IfExists, ItemReadOptions,
    NamespaceQuery, NewAssistant, NewCheckpoint, NewCron, NewStoreItem, NewStoredApiKey, NewThread, Page,
    PendingWrites, PruneStrategy, PrunedThreads, Run, RunQuery, RunSearch, ScoredItem, StoreItem, StoreItemQuery,
    StoredApiKey, Thread, ThreadPatch, ThreadQuery, ThreadState, ThreadStatus, ThreadStorage,
};
use langopen_core::queue::Lease;
use langopen_core::storage::{
    ApiKeys, Assistants, Checkpoints, Crons, DeletedAssistant, Deployments, Health, Runs, StoreItems, Threads,
};
use langopen_core::tenant::{Scope, Tenant};
use tokio::sync::Notify;

use super::calls::chaotic;
use super::hints::wakes;

chaotic!(Assistants {
    "assistants.create" create_assistant(scope: &Scope, new: NewAssistant, if_exists: IfExists) -> Assistant;
    "assistants.sync" sync_system_assistant(scope: &Scope, new: NewAssistant) -> Assistant;
    "assistants.get" assistant(scope: &Scope, id: AssistantId) -> Option<Assistant>;
    "assistants.update" update_assistant(scope: &Scope, id: AssistantId, patch: AssistantPatch) -> Assistant;
    "assistants.delete" delete_assistant(scope: &Scope, id: AssistantId, threads: Option<&Scope>) -> DeletedAssistant;
    "assistants.search" search_assistants(scope: &Scope, query: &AssistantQuery) -> Page<Assistant>;
    "assistants.count" count_assistants(scope: &Scope, query: &AssistantQuery) -> u64;
    "assistants.versions" assistant_versions(scope: &Scope, id: AssistantId, query: &AssistantVersionQuery) -> Vec<Assistant>;
    "assistants.set_latest" set_latest_assistant(scope: &Scope, id: AssistantId, version: i64) -> Assistant;
});

chaotic!(Threads {
    "threads.create" create_thread(scope: &Scope, new: NewThread, if_exists: IfExists) -> Thread;
    "threads.get" thread(scope: &Scope, id: ThreadId) -> Option<Thread>;
    "threads.update" update_thread(scope: &Scope, id: ThreadId, patch: ThreadPatch) -> Thread;
    "threads.delete" delete_thread(scope: &Scope, id: ThreadId) -> Vec<RunId>;
    "threads.search" search_threads(scope: &Scope, query: &ThreadQuery) -> Page<Thread>;
    "threads.count" count_threads(scope: &Scope, query: &ThreadQuery) -> u64;
    "threads.copy" copy_thread(scope: &Scope, source: ThreadId, new: ThreadId) -> Thread;
    "threads.storage" thread_storage(scope: &Scope, id: ThreadId) -> Option<ThreadStorage>;
    "threads.prune" prune_threads(scope: &Scope, ids: &[ThreadId], strategy: PruneStrategy) -> PrunedThreads;
    "threads.sweep" sweep_threads(limit: u32) -> PrunedThreads;
    "threads.latest_state" latest_state(scope: &Scope, id: ThreadId) -> Option<ThreadState>;
    "threads.set_state" set_thread_state(scope: &Scope, id: ThreadId, status: ThreadStatus, interrupts: RawJson, state: ThreadState) -> Thread;
});

chaotic!(Runs {
    "runs.get" run(scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Option<Run>;
    "runs.list" list_runs(scope: &Scope, thread_id: ThreadId, query: &RunQuery) -> Page<Run>;
    "runs.of_threads" runs_of_threads(scope: &Scope, threads: &[ThreadId], limit: u32) -> Vec<Run>;
    "runs.search" search_runs(scope: &Scope, search: &RunSearch) -> FoundRuns;
    "runs.update" update_run(scope: &Scope, thread_id: ThreadId, run_id: RunId, metadata: JsonMap) -> Run;
    "runs.delete" delete_run(scope: &Scope, thread_id: ThreadId, run_id: RunId) -> bool;
});

chaotic!(Checkpoints {
    "checkpoints.get" checkpoint(scope: &Scope, key: &CheckpointKey) -> Option<CheckpointTuple>;
    "checkpoints.list" list_checkpoints(scope: &Scope, thread_id: ThreadId, list: &CheckpointList) -> Vec<CheckpointTuple>;
    "checkpoints.put" put_checkpoint(scope: &Scope, new: NewCheckpoint) -> ();
    "checkpoints.put_writes" put_writes(scope: &Scope, writes: PendingWrites) -> ();
    "checkpoints.delete" delete_checkpoints(scope: &Scope, thread_id: ThreadId, lease: Option<Lease>) -> ();
});

chaotic!(StoreItems {
    "store_items.put" put_item(scope: &Scope, new: NewStoreItem) -> ();
    "store_items.get" item(scope: &Scope, namespace: &[String], key: &str, options: ItemReadOptions) -> Option<StoreItem>;
    "store_items.delete" delete_item(scope: &Scope, namespace: &[String], key: &str, lease: Option<Lease>) -> ();
    "store_items.search" search_items(scope: &Scope, query: &StoreItemQuery) -> Page<ScoredItem>;
    "store_items.sweep" sweep_items() -> u64;
    "store_items.namespaces" list_namespaces(scope: &Scope, query: &NamespaceQuery) -> Vec<Vec<String>>;
});

chaotic!(Crons {
    "crons.create" create_cron(scope: &Scope, new: NewCron) -> Cron;
    "crons.get" cron(scope: &Scope, id: CronId) -> Option<Cron>;
    "crons.update" update_cron(scope: &Scope, id: CronId, patch: CronPatch) -> Cron;
    "crons.delete" delete_cron(scope: &Scope, id: CronId) -> ();
    "crons.search" search_crons(scope: &Scope, query: &CronQuery) -> Page<Cron>;
    "crons.count" count_crons(scope: &Scope, query: &CronQuery) -> u64;
    "crons.due" due_crons(limit: u32) -> DueCrons;
    "crons.skip" skip_cron(scope: &Scope, firing: CronFiring) -> ();
    => {
        fn cron_wakes(&self) -> Arc<Notify> {
            wakes(&self.chaos, "crons.wakes", &self.cron_wakes, self.inner.cron_wakes())
        }
    }
});

chaotic!(Deployments {
    "deployments.put" put_deployment(tenant: &Tenant, spec: DeploymentSpec) -> Deployment;
    "deployments.get" deployment(tenant: &Tenant) -> Option<Deployment>;
    "deployments.list" list_deployments() -> Vec<Deployment>;
    "deployments.delete" delete_deployment(tenant: &Tenant) -> ();
});

chaotic!(Health {
    "health.check" check_health() -> ();
});

chaotic!(ApiKeys {
    "api_keys.create" create_api_key(new: NewStoredApiKey) -> StoredApiKey;
    "api_keys.list" list_api_keys(within: Option<&KeyScope>) -> Vec<StoredApiKey>;
    "api_keys.revoke" revoke_api_key(within: Option<&KeyScope>, id: ApiKeyId) -> StoredApiKey;
    "api_keys.of_hash" api_key_of_hash(hash: &ApiKeyHash) -> Option<StoredApiKey>;
    "api_keys.touch" touch_api_key(id: ApiKeyId) -> ();
});
