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
    /// The thread it runs on; `None` for a new thread each time.
    pub thread_id: Option<ThreadId>,
    /// Whom its runs act for.
    pub creator: CronCreator,
    /// A cron expression; see [`Schedule`].
    pub schedule: String,
    /// An IANA time zone; `None` for UTC.
    pub timezone: Option<String>,
    /// From this moment on it does not fire.
    pub end_time: Option<Timestamp>,
    /// The body of the runs that it creates: a JSON object.
    pub payload: RawJson,
    /// Its metadata, and that of its runs.
    pub metadata: JsonMap,
    /// What becomes of the threads it makes; `None` for a thread's cron.
    pub on_run_completed: Option<OnCompletion>,
    /// Whether it fires.
    pub enabled: bool,
    /// When it fires next; `None` if it never does. A disabled cron keeps the moment at which it would.
    pub next_run_date: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When a client last changed it; firing does not.
    pub updated_at: Timestamp,
}

impl Cron {
    /// The first moment after `at` at which its schedule lets it fire.
    ///
    /// # Errors
    /// `Invalid` for a schedule that is none.
    pub fn next_after(&self, at: Timestamp) -> Result<Option<Timestamp>> {
        let next = Schedule::parse(&self.schedule, self.timezone.as_deref())?.next_after(at);
        Ok(next.filter(|next| self.end_time.is_none_or(|end| *next < end)))
    }

    /// Whether it may fire at all now.
    pub fn may_fire(&self, now: Timestamp) -> bool {
        self.enabled && self.end_time.is_none_or(|end| now < end)
    }
}

/// The user who created a cron, as graphs see users.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CronCreator {
    /// As [`Identity::identity`].
    pub identity: String,
    /// As [`Identity::permissions`].
    pub permissions: Vec<String>,
    /// As [`Identity::user`].
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
    /// The thread it runs on.
    pub thread_id: Option<ThreadId>,
    /// Whom its runs act for.
    pub creator: CronCreator,
    /// Its cron expression.
    pub schedule: String,
    /// Its time zone.
    pub timezone: Option<String>,
    /// From this moment on it does not fire.
    pub end_time: Option<Timestamp>,
    /// The body of its runs: a JSON object.
    pub payload: RawJson,
    /// Its metadata.
    pub metadata: JsonMap,
    /// What becomes of the threads it makes.
    pub on_run_completed: Option<OnCompletion>,
    /// Whether it fires.
    pub enabled: bool,
}

/// A change to a cron; `None` leaves as it was. What is changed of the schedule, and enabling a cron, makes its next moment anew.
#[derive(Debug, Clone, Default)]
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
    /// Replaces what becomes of the threads; ignored for a thread's cron.
    pub on_run_completed: Option<OnCompletion>,
    /// Enables or disables.
    pub enabled: Option<bool>,
}

/// Which column crons are sorted by. What is missing sorts last, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each variant is the column of that name")]
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

/// Which crons to find.
#[derive(Debug, Clone, Default)]
pub struct CronQuery {
    /// Exactly this assistant.
    pub assistant_id: Option<AssistantId>,
    /// Exactly this thread.
    pub thread_id: Option<ThreadId>,
    /// Only those that are enabled, or that are not.
    pub enabled: Option<bool>,
    /// Contained in the metadata.
    pub metadata: JsonMap,
    /// At most this many.
    pub limit: u32,
    /// After skipping this many.
    pub offset: u32,
    /// The order.
    pub sort_by: CronSort,
    /// Its direction.
    pub sort_order: SortOrder,
}

/// A cron whose time has come, with whose it is.
#[derive(Debug, Clone)]
pub struct DueCron {
    /// Its tenant.
    pub tenant: Tenant,
    /// The cron.
    pub cron: Cron,
}

/// What a look for due crons found.
#[derive(Debug, Clone, Default)]
pub struct DueCrons {
    /// Those that are due, longest due first.
    pub crons: Vec<DueCron>,
    /// When the next one after these is due; it may have passed, if there are more.
    pub next_due: Option<Timestamp>,
}

/// One firing of a cron. It happens once: whoever moves the cron on from `due` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CronFiring {
    /// The cron.
    pub cron_id: CronId,
    /// The moment that has come: the cron's `next_run_date`.
    pub due: Timestamp,
    /// When it fires next.
    pub next: Option<Timestamp>,
}
