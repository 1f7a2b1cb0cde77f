use langopen_core::model::{MultitaskStrategy, Run};
use langopen_core::{JsonMap, RawJson, RunStatus, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// One execution of a graph.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunBody {
    run_id: Uuid,
    thread_id: Uuid,
    assistant_id: Uuid,
    #[schema(value_type = Object)]
    metadata: JsonMap,
    #[schema(inline)]
    status: RunStatus,
    #[schema(value_type = Object)]
    kwargs: RawJson,
    #[schema(inline)]
    multitask_strategy: MultitaskStrategy,
    /// The time of creation; with `after_seconds`, the earliest time at which the run may start.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    langsmith_session_name: Option<String>,
}

impl RunBody {
    pub(crate) const FIELDS: [&str; 10] = [
        "run_id",
        "thread_id",
        "assistant_id",
        "created_at",
        "updated_at",
        "status",
        "metadata",
        "kwargs",
        "multitask_strategy",
        "langsmith_session_name",
    ];

    /// The path of the run.
    pub(crate) fn path(&self) -> String {
        format!("/threads/{}/runs/{}", self.thread_id, self.run_id)
    }
}

impl From<Run> for RunBody {
    fn from(row: Run) -> Self {
        Self {
            run_id: row.run_id.0,
            thread_id: row.thread_id.0,
            assistant_id: row.assistant_id.0,
            metadata: row.metadata,
            status: row.status,
            kwargs: row.kwargs,
            multitask_strategy: row.multitask_strategy,
            created_at: row.created_at,
            updated_at: row.updated_at,
            langsmith_session_name: None,
        }
    }
}
