use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::error::Result;
use crate::ids::CronId;
use crate::model::{Cron, CronFiring, CronPatch, CronQuery, DueCrons, NewCron, Page};
use crate::tenant::Scope;

/// Crons. The scope's filter applies to their own metadata.
///
/// A cron belongs to its assistant, and to its thread if it has one; it is removed together with either of them. Crons
/// are fired through [`Queue::enqueue`](crate::Queue::enqueue), so one step creates the run and moves the cron on.
#[async_trait]
pub trait Crons: Send + Sync {
    /// Creates a cron. `next_run_date` is the first moment of its schedule after now.
    ///
    /// The caller must first decide whether it may use the assistant and the thread.
    ///
    /// # Errors
    /// - `NotFound`: the tenant has no such assistant or thread.
    /// - `AlreadyExists`: the id is taken.
    /// - `Invalid`: the schedule is malformed or never fires, or the time zone is unknown.
    async fn create_cron(&self, scope: &Scope, new: NewCron) -> Result<Cron>;

    /// The cron's row.
    async fn cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>>;

    /// Changes a cron.
    ///
    /// # Errors
    /// - `NotFound`: the cron does not exist.
    /// - `Invalid`: the same reasons as for a new cron.
    async fn update_cron(&self, scope: &Scope, id: CronId, patch: CronPatch) -> Result<Cron>;

    /// Removes a cron. Its runs stay.
    ///
    /// # Errors
    /// - `NotFound`: the cron does not exist.
    async fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<()>;

    /// Finds crons.
    async fn search_crons(&self, scope: &Scope, query: &CronQuery) -> Result<Page<Cron>>;

    /// The number of crons that a search finds over all its pages.
    async fn count_crons(&self, scope: &Scope, query: &CronQuery) -> Result<u64>;

    /// Up to `limit` due crons of all tenants. A cron is due if it is enabled, has not reached its end, and its
    /// `next_run_date` has come.
    async fn due_crons(&self, limit: u32) -> Result<DueCrons>;

    /// Moves a due cron on without a run.
    ///
    /// # Errors
    /// - `Conflict`: the cron is not due at this moment any more.
    async fn skip_cron(&self, scope: &Scope, firing: CronFiring) -> Result<()>;

    /// Notifies each time a cron is created or changed. Hints may be lost or spurious, so callers must also poll.
    ///
    /// By default it never notifies.
    fn cron_wakes(&self) -> Arc<Notify> {
        Arc::default()
    }
}
