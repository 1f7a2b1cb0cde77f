use langopen_core::RawJson;
use serde::Serialize;
use utoipa::ToSchema;

use super::{CheckpointConfig, Updates};

/// The state of a thread at a checkpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ThreadState)]
pub(crate) struct ThreadStateBody {
    #[schema(value_type = Updates, inline)]
    values: RawJson,
    /// The next nodes.
    next: Vec<String>,
    tasks: Vec<TaskBody>,
    #[schema(value_type = Option<Object>, required)]
    metadata: RawJson,
    #[schema(required)]
    created_at: Option<String>,
    #[schema(required)]
    checkpoint: Option<CheckpointConfig>,
    parent_checkpoint: Option<CheckpointConfig>,
    interrupts: Vec<Interrupt>,
    checkpoint_id: Option<String>,
    parent_checkpoint_id: Option<String>,
}

/// A node that is to run, or that has run in an unfinished step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ThreadTask)]
pub(crate) struct TaskBody {
    id: String,
    name: String,
    #[schema(value_type = Vec<serde_json::Value>)]
    path: RawJson,
    error: Option<String>,
    interrupts: Vec<Interrupt>,
    checkpoint: Option<CheckpointConfig>,
    #[schema(no_recursion)]
    state: Option<Box<ThreadStateBody>>,
    #[schema(value_type = Option<Object>)]
    result: RawJson,
}

/// An interrupt: a question of the graph that waits for an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Interrupt {
    id: Option<String>,
    #[schema(value_type = Object)]
    value: RawJson,
    #[schema(value_type = Option<Object>)]
    response_schema: RawJson,
}

impl ThreadStateBody {
    /// The state of a thread that no graph has run on.
    pub(crate) const EMPTY: &str = r#"{"values":{},"next":[],"tasks":[],"metadata":null,"created_at":null,"checkpoint":null,"parent_checkpoint":null,"interrupts":[],"checkpoint_id":null,"parent_checkpoint_id":null}"#;
}
