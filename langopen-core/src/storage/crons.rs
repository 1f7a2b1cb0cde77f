use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::error::Result;
use crate::ids::CronId;
use crate::model::{Cron, CronFiring, CronPatch, CronQuery, DueCrons, NewCron, Page};
use crate::tenant::Scope;

/// Crons. The scope's filter applies to their own metadata.
///
/// A cron hangs on its assistant, and on its thread if it has one: it goes when one of them goes. Firing is a part of
/// [`Queue::enqueue`](crate::Queue::enqueue), so that a run and the cron's next moment are one write.
#[async_trait]
pub trait Crons: Send + Sync {
    /// Keeps a new cron. `next_run_date` is the first moment of its schedule from now on.
    ///
    /// # Errors
    /// `NotFound` for an assistant or a thread that is not there; whether the caller may use them is decided before. `AlreadyExists` for a taken id.
    /// `Invalid` for a schedule that is none or never fires, or an unknown time zone.
    async fn create_cron(&self, scope: &Scope, new: NewCron) -> Result<Cron>;

    /// The cron's row.
    async fn cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>>;

    /// Changes a cron.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` as for a new one.
    async fn update_cron(&self, scope: &Scope, id: CronId, patch: CronPatch) -> Result<Cron>;

    /// Removes a cron. Its runs stay.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<()>;

    /// Finds crons.
    async fn search_crons(&self, scope: &Scope, query: &CronQuery) -> Result<Page<Cron>>;

    /// How many crons answer the query, whatever its page.
    async fn count_crons(&self, scope: &Scope, query: &CronQuery) -> Result<u64>;

    /// Up to `limit` crons of any tenant that are due: enabled, not at their end, and their moment has come.
    async fn due_crons(&self, limit: u32) -> Result<DueCrons>;

    /// Moves a due cron on without a run.
    ///
    /// # Errors
    /// `Conflict` when it is not due at that moment any more.
    async fn skip_cron(&self, scope: &Scope, firing: CronFiring) -> Result<()>;

    /// A hint each time that a cron was created or changed. Hints may be lost or spurious: poll too.
    fn cron_wakes(&self) -> Arc<Notify>;
}
