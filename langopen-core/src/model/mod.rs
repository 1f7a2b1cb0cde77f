//! The stored resources: assistants, threads, runs, checkpoints, store items, crons, deployments, API keys.

mod api_key;
mod assistant;
mod checkpoint;
mod cron;
mod deployment;
mod page;
mod run;
mod store_item;
mod thread;

pub use api_key::{NewStoredApiKey, StoredApiKey};
pub use assistant::{Assistant, AssistantPatch, AssistantQuery, AssistantSort, AssistantVersionQuery, NewAssistant};
pub use checkpoint::{
    Blob, ChannelValue, CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrite, PendingWrites,
};
pub use cron::{Cron, CronCreator, CronFiring, CronPatch, CronQuery, CronSort, DueCron, DueCrons, NewCron};
pub use deployment::{Deployment, DeploymentLimits, DeploymentSpec};
pub use page::{IfExists, Page, SortOrder};
pub use run::{
    CancelAction, CancelRequest, FoundRuns, MultitaskStrategy, NewRun, OnCompletion, Run, RunError, RunOrigin,
    RunPosition, RunQuery, RunSearch, RunThread,
};
pub use store_item::{
    FieldVector, FilterOperator, ItemFilter, ItemReadOptions, NamespaceQuery, NewStoreItem, ScoredItem, StoreItem,
    StoreItemQuery,
};
pub use thread::{
    NewThread, PruneStrategy, PrunedThreads, Thread, ThreadPatch, ThreadQuery, ThreadSort, ThreadState, ThreadStatus,
    ThreadStorage, ThreadTtl, Volume,
};
