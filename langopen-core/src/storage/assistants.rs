use async_trait::async_trait;

use crate::error::Result;
use crate::event_log::LogKey;
use crate::ids::{AssistantId, ThreadId};
use crate::model::{Assistant, AssistantPatch, AssistantQuery, AssistantVersionQuery, IfExists, NewAssistant, Page};
use crate::tenant::Scope;

/// What a deletion of an assistant removed and ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletedAssistant {
    /// Threads that are removed with their runs; the caller must close their streams.
    pub threads: Vec<ThreadId>,
    /// Runs of other threads that have ended; the caller must close their streams.
    pub ended: Vec<LogKey>,
}

/// Assistants and their versions. An id is unique within a tenant: a system assistant has the same id in every tenant.
#[async_trait]
pub trait Assistants: Send + Sync {
    /// Creates an assistant, as version 1.
    ///
    /// # Errors
    /// - `AlreadyExists`: the id is taken, and `if_exists` is `Raise` or the row is outside of the scope.
    async fn create_assistant(&self, scope: &Scope, new: NewAssistant, if_exists: IfExists) -> Result<Assistant>;

    /// Creates a system assistant, or sets the name and description of the existing one. All other fields of an
    /// existing assistant stay, and the call makes no new version.
    async fn sync_system_assistant(&self, scope: &Scope, new: NewAssistant) -> Result<Assistant>;

    /// The assistant in its active version.
    async fn assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>>;

    /// Makes a new version, one above the highest version, and activates it. An empty patch also makes a version.
    ///
    /// # Errors
    /// - `NotFound`: the assistant does not exist.
    async fn update_assistant(&self, scope: &Scope, id: AssistantId, patch: AssistantPatch) -> Result<Assistant>;

    /// Removes an assistant in one step:
    ///
    /// - All its versions and crons are removed.
    /// - Its runs in flight are cancelled, on every thread of the tenant. Pending runs end; the workers of running runs
    ///   receive the cancel and end them.
    /// - If `threads` is set, a scope of the same tenant, the threads of that scope whose metadata has this assistant's
    ///   id as `assistant_id` are removed too.
    ///
    /// # Errors
    /// - `NotFound`: the assistant does not exist.
    async fn delete_assistant(
        &self,
        scope: &Scope,
        id: AssistantId,
        threads: Option<&Scope>,
    ) -> Result<DeletedAssistant>;

    /// Finds assistants.
    async fn search_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<Page<Assistant>>;

    /// The number of assistants that a search finds over all its pages.
    async fn count_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<u64>;

    /// The versions of an assistant, newest first.
    async fn assistant_versions(
        &self,
        scope: &Scope,
        id: AssistantId,
        query: &AssistantVersionQuery,
    ) -> Result<Vec<Assistant>>;

    /// Activates another version, with all its fields.
    ///
    /// # Errors
    /// - `NotFound`: the assistant or the version does not exist.
    async fn set_latest_assistant(&self, scope: &Scope, id: AssistantId, version: i64) -> Result<Assistant>;
}
