//! Crons: runs on a schedule.

use crate::clock::Timestamp;
use crate::ids::{AssistantId, CronId, ThreadId};
use crate::json::{JsonMap, RawJson};

use super::OnCompletion;

/// A run on a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    /// Its id.
    pub cron_id: CronId,
    /// The assistant that it runs.
    pub assistant_id: AssistantId,
    /// The thread it runs on; `None` for a new thread each time.
    pub thread_id: Option<ThreadId>,
    /// A cron expression of 5 or 6 fields.
    pub schedule: String,
    /// An IANA time zone; `None` for UTC.
    pub timezone: Option<String>,
    /// The last moment it may fire.
    pub end_time: Option<Timestamp>,
    /// The body of the runs that it creates.
    pub payload: RawJson,
    /// Its metadata.
    pub metadata: JsonMap,
    /// What becomes of the threads it makes; `None` for a thread's cron.
    pub on_run_completed: Option<OnCompletion>,
    /// Whether it fires.
    pub enabled: bool,
    /// When it fires next.
    pub next_run_date: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
