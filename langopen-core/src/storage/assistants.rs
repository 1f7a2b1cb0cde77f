use async_trait::async_trait;

use crate::error::Result;
use crate::event_log::LogKey;
use crate::ids::{AssistantId, ThreadId};
use crate::json::JsonMap;
use crate::model::{Assistant, AssistantPatch, AssistantQuery, IfExists, NewAssistant, Page};
use crate::tenant::Scope;

/// What went with an assistant that was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletedAssistant {
    /// Threads that are gone with their runs; their streams must be closed.
    pub threads: Vec<ThreadId>,
    /// Runs of other threads that have ended; their streams must be closed.
    pub ended: Vec<LogKey>,
}

/// Assistants and their versions. An id is unique within a tenant: a system assistant has the same one in each.
#[async_trait]
pub trait Assistants: Send + Sync {
    /// Keeps a new assistant as version 1.
    ///
    /// # Errors
    /// `AlreadyExists` when the id is taken and `if_exists` is `Raise`, or the row is outside of the scope.
    async fn create_assistant(&self, scope: &Scope, new: NewAssistant, if_exists: IfExists) -> Result<Assistant>;

    /// Makes sure that a system assistant exists with this name and description; everything else of one that exists stays as
    /// it is, and no new version is made.
    async fn sync_system_assistant(&self, scope: &Scope, new: NewAssistant) -> Result<Assistant>;

    /// The version in force.
    async fn assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>>;

    /// Makes a new version, one above the highest there is, and puts it in force. A patch without any change does so too.
    ///
    /// # Errors
    /// `NotFound`.
    async fn update_assistant(&self, scope: &Scope, id: AssistantId, patch: AssistantPatch) -> Result<Assistant>;

    /// Removes an assistant with its versions, and cancels its runs in flight, whatever threads they are on, in one step; also
    /// removes the threads that `threads` shows, a scope of the same tenant, and whose metadata names it as `assistant_id`. The workers of running runs are
    /// told and will end them.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_assistant(
        &self,
        scope: &Scope,
        id: AssistantId,
        threads: Option<&Scope>,
    ) -> Result<DeletedAssistant>;

    /// Finds assistants.
    async fn search_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<Page<Assistant>>;

    /// How many assistants a search would find over all its pages.
    async fn count_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<u64>;

    /// All versions whose metadata contains `metadata`, newest first.
    async fn assistant_versions(
        &self,
        scope: &Scope,
        id: AssistantId,
        metadata: &JsonMap,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<Assistant>>;

    /// Puts an older or newer version in force, whole.
    ///
    /// # Errors
    /// `NotFound` for the assistant or the version.
    async fn set_latest_assistant(&self, scope: &Scope, id: AssistantId, version: i64) -> Result<Assistant>;
}
