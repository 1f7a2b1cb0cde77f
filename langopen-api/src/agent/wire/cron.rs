use langopen_core::model::{Cron, OnCompletion};
use langopen_core::{JsonMap, RawJson, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A run on a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cron)]
pub(crate) struct CronBody {
    cron_id: Uuid,
    assistant_id: Uuid,
    /// The thread of the runs; `null` if each run gets a new one.
    #[schema(required)]
    thread_id: Option<Uuid>,
    /// The user who created the cron. Its runs act for this user.
    user_id: String,
    /// The cron does not fire at or after this time.
    #[schema(format = DateTime, required)]
    end_time: Option<String>,
    schedule: String,
    /// The time zone of the schedule; `null` for UTC.
    timezone: Option<String>,
    /// The body of its runs.
    #[schema(value_type = Object)]
    payload: RawJson,
    /// The time of the next firing; `null` if there is none.
    #[schema(format = DateTime)]
    next_run_date: Option<String>,
    #[schema(value_type = Object)]
    metadata: JsonMap,
    /// The fate of the runs' threads; `null` for a cron on a thread.
    #[schema(inline)]
    on_run_completed: Option<OnCompletion>,
    #[schema(default = true)]
    enabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl CronBody {
    pub(crate) const FIELDS: [&str; 14] = [
        "cron_id",
        "assistant_id",
        "thread_id",
        "on_run_completed",
        "end_time",
        "schedule",
        "timezone",
        "created_at",
        "updated_at",
        "user_id",
        "payload",
        "next_run_date",
        "metadata",
        "enabled",
    ];
}

/// Formats a time. Whole seconds have no fraction, because these times come from schedules and people, not from clocks.
fn moment(at: Timestamp) -> String {
    at.to_string().replace(".000000", "")
}

impl From<Cron> for CronBody {
    fn from(row: Cron) -> Self {
        Self {
            cron_id: row.cron_id.0,
            assistant_id: row.assistant_id.0,
            thread_id: row.thread_id.map(|id| id.0),
            user_id: row.creator.identity,
            end_time: row.end_time.map(moment),
            schedule: row.schedule,
            timezone: row.timezone,
            payload: row.payload,
            next_run_date: row.next_run_date.map(moment),
            metadata: row.metadata,
            on_run_completed: row.on_run_completed,
            enabled: row.enabled,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
