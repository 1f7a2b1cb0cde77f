use langopen_core::model::Assistant;
use langopen_core::{JsonMap, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Config;

/// A graph with a configuration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assistant)]
pub(crate) struct AssistantBody {
    assistant_id: Uuid,
    /// The graph that the assistant runs.
    graph_id: String,
    #[schema(value_type = Config)]
    config: JsonMap,
    /// The run-time context, a copy of `config.configurable`.
    #[schema(value_type = Object)]
    context: JsonMap,
    #[schema(value_type = Object)]
    metadata: JsonMap,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// 1 for the first version.
    version: i64,
    description: Option<String>,
}

impl AssistantBody {
    pub(crate) const FIELDS: [&str; 10] = [
        "assistant_id",
        "graph_id",
        "name",
        "description",
        "config",
        "context",
        "created_at",
        "updated_at",
        "metadata",
        "version",
    ];
}

impl From<Assistant> for AssistantBody {
    fn from(row: Assistant) -> Self {
        Self {
            assistant_id: row.assistant_id.0,
            graph_id: row.graph_id,
            config: row.config,
            context: row.context,
            metadata: row.metadata,
            name: row.name,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
            description: row.description,
        }
    }
}

/// One version of an assistant. `created_at` is the time at which this version was created.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AssistantVersion)]
pub(crate) struct AssistantVersionBody {
    assistant_id: Uuid,
    version: i64,
    graph_id: String,
    #[schema(value_type = Config)]
    config: JsonMap,
    #[schema(value_type = Object)]
    context: JsonMap,
    #[schema(value_type = Object)]
    metadata: JsonMap,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    name: String,
    description: Option<String>,
}

impl From<Assistant> for AssistantVersionBody {
    fn from(row: Assistant) -> Self {
        Self {
            assistant_id: row.assistant_id.0,
            version: row.version,
            graph_id: row.graph_id,
            config: row.config,
            context: row.context,
            metadata: row.metadata,
            created_at: row.updated_at,
            name: row.name,
            description: row.description,
        }
    }
}
