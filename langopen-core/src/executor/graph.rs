//! Questions about graphs and the states of their threads, and the answers.
//!
//! The envelopes are typed. The documents inside are JSON text as on the wire, which every layer passes on unchanged. A
//! `config` is a runnable config with `configurable.thread_id`, and with `checkpoint_ns` and `checkpoint_id` if the
//! request names a checkpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::json::RawJson;
use crate::model::ThreadStatus;

/// Asks for the state of a thread, at a checkpoint or now.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StateRequest {
    /// The graph.
    pub graph_id: String,
    /// The thread and the checkpoint.
    pub config: RawJson,
    /// Whether the state's tasks contain the states of their subgraphs.
    pub subgraphs: bool,
}

impl StateRequest {
    /// Asks for a state without those of subgraphs.
    pub fn new(graph_id: impl Into<String>, config: RawJson) -> Self {
        Self { graph_id: graph_id.into(), config, subgraphs: false }
    }

    /// Sets [`StateRequest::subgraphs`].
    #[must_use]
    pub fn with_subgraphs(mut self, subgraphs: bool) -> Self {
        self.subgraphs = subgraphs;
        self
    }
}

/// Asks for earlier states of a thread.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HistoryRequest {
    /// The graph.
    pub graph_id: String,
    /// The thread and the namespace.
    pub config: RawJson,
    /// The most states to return.
    pub limit: u32,
    /// The runnable config of a checkpoint; only states before it are returned.
    pub before: Option<RawJson>,
    /// An object that the metadata of the states must contain.
    pub metadata: Option<RawJson>,
}

impl HistoryRequest {
    /// Asks for the latest `limit` states.
    pub fn new(graph_id: impl Into<String>, config: RawJson, limit: u32) -> Self {
        Self { graph_id: graph_id.into(), config, limit, before: None, metadata: None }
    }

    /// Sets [`HistoryRequest::before`].
    #[must_use]
    pub fn with_before(mut self, before: Option<RawJson>) -> Self {
        self.before = before;
        self
    }

    /// Sets [`HistoryRequest::metadata`].
    #[must_use]
    pub fn with_metadata(mut self, metadata: Option<RawJson>) -> Self {
        self.metadata = metadata;
        self
    }
}

/// Asks the graph to apply one update to a state.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct UpdateRequest {
    /// The graph.
    pub graph_id: String,
    /// The thread and the checkpoint.
    pub config: RawJson,
    /// The new values.
    pub values: RawJson,
    /// The node that made the update; `None` lets the graph choose it.
    pub as_node: Option<String>,
}

impl UpdateRequest {
    /// An update whose node the graph chooses.
    pub fn new(graph_id: impl Into<String>, config: RawJson, values: RawJson) -> Self {
        Self { graph_id: graph_id.into(), config, values, as_node: None }
    }

    /// Sets [`UpdateRequest::as_node`].
    #[must_use]
    pub fn with_as_node(mut self, as_node: Option<String>) -> Self {
        self.as_node = as_node;
        self
    }
}

/// Asks the graph to apply several supersteps of updates, in order.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BulkUpdateRequest {
    /// The graph.
    pub graph_id: String,
    /// The thread and the checkpoint.
    pub config: RawJson,
    /// `[{updates: [{values, command, as_node}]}]`.
    pub supersteps: RawJson,
}

impl BulkUpdateRequest {
    /// These supersteps.
    pub fn new(graph_id: impl Into<String>, config: RawJson, supersteps: RawJson) -> Self {
        Self { graph_id: graph_id.into(), config, supersteps }
    }
}

/// Asks for the JSON schemas of a graph.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SchemasRequest {
    /// The graph.
    pub graph_id: String,
    /// The config of the assistant.
    pub config: RawJson,
    /// Whether the names of the fields are enough. Where types are slow to find out, the schemas may then lack them.
    pub names_only: bool,
}

impl SchemasRequest {
    /// Asks for the schemas of this graph.
    pub fn new(graph_id: impl Into<String>, config: RawJson) -> Self {
        Self { graph_id: graph_id.into(), config, names_only: false }
    }

    /// Asks for the names of the fields alone.
    #[must_use]
    pub fn with_names_only(self) -> Self {
        Self { names_only: true, ..self }
    }
}

/// How many levels of subgraphs a drawing expands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Xray {
    /// None.
    #[default]
    Off,
    /// This many.
    Levels(u32),
    /// All.
    All,
}

impl Serialize for Xray {
    /// Writes `false`, a number or `true`, as on the wire.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::Levels(levels) => serializer.serialize_u32(*levels),
            Self::All => serializer.serialize_bool(true),
        }
    }
}

/// Asks for the drawing of a graph.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DrawRequest {
    /// The graph.
    pub graph_id: String,
    /// The config of the assistant.
    pub config: RawJson,
    /// The levels of subgraphs to expand.
    pub xray: Xray,
}

impl DrawRequest {
    /// Asks for a drawing that expands no subgraph.
    pub fn new(graph_id: impl Into<String>, config: RawJson) -> Self {
        Self { graph_id: graph_id.into(), config, xray: Xray::Off }
    }

    /// Sets [`DrawRequest::xray`].
    #[must_use]
    pub fn with_xray(mut self, xray: Xray) -> Self {
        self.xray = xray;
        self
    }
}

/// Asks for the subgraphs of a graph.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SubgraphsRequest {
    /// The graph.
    pub graph_id: String,
    /// The config of the assistant.
    pub config: RawJson,
    /// Only the subgraph with this namespace; `None` for all.
    pub namespace: Option<String>,
    /// Whether to include the subgraphs of subgraphs.
    pub recurse: bool,
}

impl SubgraphsRequest {
    /// Asks for all direct subgraphs.
    pub fn new(graph_id: impl Into<String>, config: RawJson) -> Self {
        Self { graph_id: graph_id.into(), config, namespace: None, recurse: false }
    }

    /// Sets [`SubgraphsRequest::namespace`].
    #[must_use]
    pub fn with_namespace(mut self, namespace: Option<String>) -> Self {
        self.namespace = namespace;
        self
    }

    /// Sets [`SubgraphsRequest::recurse`].
    #[must_use]
    pub fn with_recurse(mut self, recurse: bool) -> Self {
        self.recurse = recurse;
        self
    }
}

/// What a state says about its thread. The caller updates the thread's row with it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct StateSummary {
    /// The thread's status, according to this state.
    pub status: ThreadStatus,
    /// Open interrupts by task id.
    pub interrupts: RawJson,
    /// The checkpoint that the state describes; `None` for a thread without checkpoints.
    pub checkpoint_id: Option<String>,
}

impl StateSummary {
    /// A summary with these parts.
    pub fn new(status: ThreadStatus, interrupts: RawJson, checkpoint_id: Option<String>) -> Self {
        Self { status, interrupts, checkpoint_id }
    }
}

/// The answer to a [`StateRequest`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct StateAnswer {
    /// A ThreadState of the wire.
    pub state: RawJson,
    /// The same state's summary.
    pub thread: StateSummary,
}

impl StateAnswer {
    /// An answer with these parts.
    pub fn new(state: RawJson, thread: StateSummary) -> Self {
        Self { state, thread }
    }
}

/// The answer to an [`UpdateRequest`] or a [`BulkUpdateRequest`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct UpdateAnswer {
    /// The checkpoint that the update made: `{thread_id, checkpoint_ns, checkpoint_id}`.
    pub checkpoint: RawJson,
    /// The latest state of the root graph after the update: a ThreadState of the wire.
    pub state: RawJson,
    /// The same state's summary.
    pub thread: StateSummary,
}

impl UpdateAnswer {
    /// An answer with these parts.
    pub fn new(checkpoint: RawJson, state: RawJson, thread: StateSummary) -> Self {
        Self { checkpoint, state, thread }
    }
}

/// The JSON schemas of a graph. A schema that the graph does not have is `null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GraphSchemas {
    /// The schema of inputs.
    #[serde(default)]
    pub input_schema: RawJson,
    /// The schema of outputs.
    #[serde(default)]
    pub output_schema: RawJson,
    /// The schema of the state.
    #[serde(default)]
    pub state_schema: RawJson,
    /// The schema of `configurable`.
    #[serde(default)]
    pub config_schema: RawJson,
    /// The schema of the context.
    #[serde(default)]
    pub context_schema: RawJson,
}

/// The schemas of subgraphs, by namespace.
pub type Subgraphs = BTreeMap<String, GraphSchemas>;

/// The drawing of a graph, as JSON arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GraphDrawing {
    /// `[{id, type, data, metadata}]`.
    pub nodes: RawJson,
    /// `[{source, target, data, conditional}]`.
    pub edges: RawJson,
}

impl GraphDrawing {
    /// A drawing of these nodes and edges.
    pub fn new(nodes: RawJson, edges: RawJson) -> Self {
        Self { nodes, edges }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_passes_documents_on_as_they_are() {
        let text = r#"{"state":{"b": 1.0,  "a":2},"thread":{"status":"idle","interrupts":{ },"checkpoint_id":null}}"#;
        let answer: StateAnswer = serde_json::from_str(text).unwrap();
        assert_eq!(answer.state.as_str(), r#"{"b": 1.0,  "a":2}"#);
        assert_eq!(answer.thread.interrupts.as_str(), "{ }");
    }

    #[test]
    fn a_request_is_on_the_wire_what_hosts_read() {
        let draw = |xray| serde_json::to_value(DrawRequest::new("g", RawJson::default()).with_xray(xray)).unwrap();
        assert_eq!(draw(Xray::All), json!({"graph_id": "g", "config": null, "xray": true}));
        assert_eq!(draw(Xray::Levels(2))["xray"], 2);
        assert_eq!(draw(Xray::Off)["xray"], false);
    }
}
