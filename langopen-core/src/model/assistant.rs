//! Assistants: a graph with a configuration, in versions.

use crate::clock::Timestamp;
use crate::ids::AssistantId;
use crate::json::JsonMap;

use super::SortOrder;

/// A graph with a configuration. Each change makes a new version; the row shows the active version.
#[derive(Debug, Clone, PartialEq)]
pub struct Assistant {
    /// Its id.
    pub assistant_id: AssistantId,
    /// The graph that it runs.
    pub graph_id: String,
    /// `tags`, `recursion_limit`, `configurable`.
    pub config: JsonMap,
    /// The run-time context; the mirror of `config.configurable`.
    pub context: JsonMap,
    /// Free keys, plus `created_by` on system assistants.
    pub metadata: JsonMap,
    /// The name, for people.
    pub name: String,
    /// The description, for people.
    pub description: Option<String>,
    /// 1 for the first version.
    pub version: i64,
    /// When the assistant was created; the same in all versions.
    pub created_at: Timestamp,
    /// When this version became active.
    pub updated_at: Timestamp,
}

/// A new assistant.
#[derive(Debug, Clone)]
pub struct NewAssistant {
    /// Its id, chosen by the caller.
    pub assistant_id: AssistantId,
    /// The graph that it runs.
    pub graph_id: String,
    /// Its configuration.
    pub config: JsonMap,
    /// Its context.
    pub context: JsonMap,
    /// Its metadata.
    pub metadata: JsonMap,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
}

/// A change to an assistant. `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AssistantPatch {
    /// Replaces the graph.
    pub graph_id: Option<String>,
    /// Replaces the configuration.
    pub config: Option<JsonMap>,
    /// Replaces the context.
    pub context: Option<JsonMap>,
    /// Merged into the metadata, key by key.
    pub metadata: Option<JsonMap>,
    /// Replaces the name.
    pub name: Option<String>,
    /// Replaces the description.
    pub description: Option<String>,
}

setters! {
    AssistantPatch {
        with_graph_id graph_id: Option<String>,
        with_config config: Option<JsonMap>,
        with_context context: Option<JsonMap>,
        with_metadata metadata: Option<JsonMap>,
        with_name name: Option<String>,
        with_description description: Option<String>,
    }
}

/// Which column assistants are sorted by. Text sorts without regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each variant is the column of that name")]
#[non_exhaustive]
pub enum AssistantSort {
    AssistantId,
    #[default]
    CreatedAt,
    UpdatedAt,
    Name,
    GraphId,
}

/// A search for assistants.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AssistantQuery {
    /// Contained in the assistant's metadata.
    pub metadata: JsonMap,
    /// Only assistants of exactly this graph.
    pub graph_id: Option<String>,
    /// Only assistants of one of these graphs; `None` for any graph.
    pub graphs: Option<Vec<String>>,
    /// A part of the name, without regard to case.
    pub name: Option<String>,
    /// The most rows to return.
    pub limit: u32,
    /// The number of rows to skip.
    pub offset: u32,
    /// The order.
    pub sort_by: AssistantSort,
    /// Its direction.
    pub sort_order: SortOrder,
}

setters! {
    AssistantQuery {
        with_metadata metadata: JsonMap,
        with_graph_id graph_id: Option<String>,
        with_graphs graphs: Option<Vec<String>>,
        with_name name: Option<String>,
        with_limit limit: u32,
        with_offset offset: u32,
        with_sort_by sort_by: AssistantSort,
        with_sort_order sort_order: SortOrder,
    }
}

/// A query for the versions of an assistant.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AssistantVersionQuery {
    /// Contained in the version's metadata.
    pub metadata: JsonMap,
    /// The most versions to return.
    pub limit: u32,
    /// The number of versions to skip.
    pub offset: u32,
}

setters! {
    AssistantVersionQuery {
        with_metadata metadata: JsonMap,
        with_limit limit: u32,
        with_offset offset: u32,
    }
}
