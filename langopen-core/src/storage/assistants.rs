use async_trait::async_trait;

use crate::error::Result;
use crate::ids::{AssistantId, RunId};
use crate::json::JsonMap;
use crate::model::{Assistant, AssistantPatch, AssistantQuery, IfExists, NewAssistant, Page};
use crate::tenant::Scope;

/// Assistants and their versions.
#[async_trait]
pub trait Assistants: Send + Sync {
    /// Keeps a new assistant as version 1.
    ///
    /// # Errors
    /// `AlreadyExists` when the id is taken and `if_exists` is `Raise`.
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

    /// Removes an assistant with its versions; with `delete_threads`, also the threads whose metadata names it as `assistant_id`. Returns
    /// the runs of those threads that were in flight: they are gone, so their streams must be closed.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_assistant(&self, scope: &Scope, id: AssistantId, delete_threads: bool) -> Result<Vec<RunId>>;

    /// Finds assistants.
    async fn search_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<Page<Assistant>>;

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
