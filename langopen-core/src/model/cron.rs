//! Crons: runs on a schedule.

use serde::{Deserialize, Serialize};

use crate::auth::Identity;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::ids::{AssistantId, CronId, ThreadId};
use crate::json::{JsonMap, RawJson, RawObject};
use crate::schedule::Schedule;
use crate::tenant::Tenant;

use super::{OnCompletion, SortOrder};

/// A run on a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    /// Its id.
    pub cron_id: CronId,
    /// The assistant that it runs.
    pub assistant_id: AssistantId,
    /// The thread on which it runs; `None` for a new thread each time.
    pub thread_id: Option<ThreadId>,
    /// The user for whom its runs act.
    pub creator: CronCreator,
    /// A cron expression; see [`Schedule`].
    pub schedule: String,
    /// An IANA time zone; `None` for UTC.
    pub timezone: Option<String>,
    /// The cron does not fire at or after this moment.
    pub end_time: Option<Timestamp>,
    /// The body of the runs that it creates: a JSON object.
    pub payload: RawJson,
    /// Its metadata, and that of its runs.
    pub metadata: JsonMap,
    /// What happens to the threads that it creates when their run ends; `None` for a cron with a thread of its own.
    pub on_run_completed: Option<OnCompletion>,
    /// Whether it is enabled; a disabled cron does not fire.
    pub enabled: bool,
    /// The next moment at which it fires; `None` if there is none. A disabled cron retains the moment at which it would
    /// fire.
    pub next_run_date: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When a client last changed it. A firing does not count as a change.
    pub updated_at: Timestamp,
}

impl Cron {
    /// The first moment after `at` at which the cron fires.
    ///
    /// # Errors
    /// `Invalid` if the schedule is malformed.
    pub fn next_after(&self, at: Timestamp) -> Result<Option<Timestamp>> {
        let next = Schedule::parse(&self.schedule, self.timezone.as_deref())?.next_after(at);
        Ok(next.filter(|next| self.end_time.is_none_or(|end| *next < end)))
    }

    /// Whether the cron may fire now.
    pub fn may_fire(&self, now: Timestamp) -> bool {
        self.enabled && self.end_time.is_none_or(|end| now < end)
    }
}

/// The user who created a cron, as graphs see users.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CronCreator {
    /// See [`Identity::identity`].
    pub identity: String,
    /// See [`Identity::permissions`].
    pub permissions: Vec<String>,
    /// See [`Identity::user`].
    pub user: Option<JsonMap>,
}

impl CronCreator {
    /// The creator as a caller in this tenant.
    pub fn in_tenant(self, tenant: Tenant) -> Identity {
        Identity { tenant, identity: self.identity, role: None, permissions: self.permissions, user: self.user }
    }
}

impl From<&Identity> for CronCreator {
    fn from(identity: &Identity) -> Self {
        let Identity { identity, permissions, user, .. } = identity.clone();
        Self { identity, permissions, user }
    }
}

/// A new cron.
#[derive(Debug, Clone)]
pub struct NewCron {
    /// Its id, chosen by the caller.
    pub cron_id: CronId,
    /// The assistant that it runs.
    pub assistant_id: AssistantId,
    /// The thread on which it runs; `None` for a new thread each time.
    pub thread_id: Option<ThreadId>,
    /// The user for whom its runs act.
    pub creator: CronCreator,
    /// Its cron expression.
    pub schedule: String,
    /// Its time zone.
    pub timezone: Option<String>,
    /// The cron does not fire at or after this moment.
    pub end_time: Option<Timestamp>,
    /// The body of its runs: a JSON object.
    pub payload: RawJson,
    /// Its metadata.
    pub metadata: JsonMap,
    /// What happens to the threads that it creates when their run ends.
    pub on_run_completed: Option<OnCompletion>,
    /// Whether it is enabled.
    pub enabled: bool,
}

/// A change to a cron. `None` leaves a field unchanged. Changing the schedule or enabling the cron computes its next
/// moment anew.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CronPatch {
    /// Replaces the cron expression.
    pub schedule: Option<String>,
    /// Replaces the time zone.
    pub timezone: Option<String>,
    /// Replaces the end, or removes it.
    pub end_time: Option<Option<Timestamp>>,
    /// Merged into the payload, key by key.
    pub payload: RawObject,
    /// Merged into the metadata, key by key.
    pub metadata: JsonMap,
    /// Replaces what happens to the threads; ignored for a cron with a thread of its own.
    pub on_run_completed: Option<OnCompletion>,
    /// Enables or disables the cron.
    pub enabled: Option<bool>,
}

setters! {
    CronPatch {
        with_schedule schedule: Option<String>,
        with_timezone timezone: Option<String>,
        with_end_time end_time: Option<Option<Timestamp>>,
        with_payload payload: RawObject,
        with_metadata metadata: JsonMap,
        with_on_run_completed on_run_completed: Option<OnCompletion>,
        with_enabled enabled: Option<bool>,
    }
}

/// Which column crons are sorted by. Rows without a value sort last, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each variant is the column of that name")]
#[non_exhaustive]
pub enum CronSort {
    CronId,
    AssistantId,
    ThreadId,
    NextRunDate,
    EndTime,
    #[default]
    CreatedAt,
    UpdatedAt,
}

/// A search for crons.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CronQuery {
    /// Only crons of exactly this assistant.
    pub assistant_id: Option<AssistantId>,
    /// Only crons of exactly this thread.
    pub thread_id: Option<ThreadId>,
    /// Only enabled crons, or only disabled ones.
    pub enabled: Option<bool>,
    /// Contained in the metadata.
    pub metadata: JsonMap,
    /// The most rows to return.
    pub limit: u32,
    /// The number of rows to skip.
    pub offset: u32,
    /// The order.
    pub sort_by: CronSort,
    /// Its direction.
    pub sort_order: SortOrder,
}

setters! {
    CronQuery {
        with_assistant_id assistant_id: Option<AssistantId>,
        with_thread_id thread_id: Option<ThreadId>,
        with_enabled enabled: Option<bool>,
        with_metadata metadata: JsonMap,
        with_limit limit: u32,
        with_offset offset: u32,
        with_sort_by sort_by: CronSort,
        with_sort_order sort_order: SortOrder,
    }
}

/// A due cron and its tenant.
#[derive(Debug, Clone)]
pub struct DueCron {
    /// Its tenant.
    pub tenant: Tenant,
    /// The cron.
    pub cron: Cron,
}

/// The due crons.
#[derive(Debug, Clone, Default)]
pub struct DueCrons {
    /// The due crons; the longest overdue first.
    pub crons: Vec<DueCron>,
    /// When the next cron after these is due. If more crons are due than the limit allows, this moment has passed.
    pub next_due: Option<Timestamp>,
}

/// One firing of a cron. Each firing happens once: it belongs to the process whose call moves the cron on from `due`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CronFiring {
    /// The cron.
    pub cron_id: CronId,
    /// The cron's `next_run_date`, which has come.
    pub due: Timestamp,
    /// When it fires next.
    pub next: Option<Timestamp>,
}
