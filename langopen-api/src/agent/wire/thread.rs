use langopen_core::model::{PruneStrategy, Thread, ThreadStatus};
use langopen_core::{JsonMap, RawJson, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A thread: the state of a conversation, and the runs on it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Thread)]
pub(crate) struct ThreadBody {
    thread_id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    state_updated_at: Timestamp,
    #[schema(value_type = Object)]
    metadata: JsonMap,
    #[schema(inline)]
    status: ThreadStatus,
    /// The merged configuration of its runs.
    #[schema(value_type = Object)]
    config: JsonMap,
    /// The latest values of its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    values: Option<Option<RawJson>>,
    /// The error of the last run; absent until a run has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    error: Option<Option<RawJson>>,
    /// Open interrupts by task id; absent until a run has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    interrupts: Option<RawJson>,
    /// The time to live. Present only if the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    pub(crate) ttl: Option<TtlBody>,
    /// The values that `extract` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) extracted: Option<JsonMap>,
}

impl ThreadBody {
    pub(crate) const FIELDS: [&str; 9] = [
        "thread_id",
        "created_at",
        "updated_at",
        "state_updated_at",
        "metadata",
        "config",
        "status",
        "values",
        "interrupts",
    ];

    /// The thread without values, error and interrupts, for the answer to a copy.
    pub(crate) fn without_values(mut self) -> Self {
        self.values = None;
        self.error = None;
        self.interrupts = None;
        self
    }
}

impl From<Thread> for ThreadBody {
    fn from(row: Thread) -> Self {
        let ran = row.interrupts.is_some() || row.error.is_some();
        Self {
            thread_id: row.thread_id.0,
            created_at: row.created_at,
            updated_at: row.updated_at,
            state_updated_at: row.state_updated_at,
            metadata: row.metadata,
            status: row.status,
            config: row.config,
            values: Some(row.values),
            error: ran.then_some(row.error),
            interrupts: ran.then(|| row.interrupts.unwrap_or_else(|| JsonMap::new().into_raw())),
            ttl: None,
            extracted: None,
        }
    }
}

/// The time to live of a thread.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ThreadTtlInfo)]
pub(crate) struct TtlBody {
    #[schema(inline)]
    strategy: PruneStrategy,
    ttl_minutes: f64,
    /// The time at which the thread expires if nothing happens on it before.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl TtlBody {
    pub(crate) fn of(thread: &Thread) -> Option<Self> {
        let (ttl, expires_at) = (thread.ttl?, thread.expires_at()?);
        Some(Self { strategy: ttl.strategy, ttl_minutes: ttl.minutes, expires_at })
    }
}

trait IntoRaw {
    fn into_raw(self) -> RawJson;
}

impl IntoRaw for JsonMap {
    fn into_raw(self) -> RawJson {
        serde_json::Value::Object(self).into()
    }
}
