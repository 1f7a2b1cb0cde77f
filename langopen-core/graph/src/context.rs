//! The view of a run that a node receives.

use std::sync::Arc;

use langopen_core::executor::ExecutionContext;
use langopen_core::json::JsonMap;
use langopen_core::model::Run;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Graph;
use super::error::{Interrupt, NodeError};
use super::message_stream::MessageStream;
use super::plan::{Task, interrupt_id};
use super::run::Shared;
use super::store::Store;

/// A run, as one node of its graph sees it. Clones share the same task.
#[derive(Clone)]
pub struct NodeContext(Arc<Turn>);

/// The location of a task in its run.
#[derive(Clone)]
pub(super) struct TaskLocation {
    pub(super) shared: Arc<Shared>,
    pub(super) graph: Graph,
    /// The namespace of the task's graph; `namespace` is the task's own, for the graph inside it.
    pub(super) outer: String,
    pub(super) namespace: String,
    pub(super) step: i64,
}

struct Turn {
    location: TaskLocation,
    node: String,
    triggers: Vec<String>,
    path: Value,
    state: Value,
    context: Value,
    asked: Mutex<Asked>,
}

/// The number of questions that the node has asked, and the available answers.
struct Asked {
    count: usize,
    answers: Vec<Value>,
}

impl NodeContext {
    pub(super) fn new(location: TaskLocation, task: &Task, answers: Vec<Value>) -> Self {
        Self(Arc::new(Turn {
            context: location.graph.context_of(&location.shared),
            location,
            node: task.name.clone(),
            triggers: task.triggers.clone(),
            path: task.shown_path.clone(),
            state: task.input.clone(),
            asked: Mutex::new(Asked { count: 0, answers }),
        }))
    }

    pub(super) fn answers(&self) -> Vec<Value> {
        self.0.asked.lock().answers.clone()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0.location.shared
    }

    /// The namespace of the node's graph.
    pub(super) fn outer(&self) -> &str {
        &self.0.location.outer
    }

    /// The run's row.
    pub fn run(&self) -> &Run {
        &self.shared().run
    }

    /// The run's input; `null` if it has none.
    pub fn input(&self) -> &Value {
        self.shared().kwargs.get("input").unwrap_or(&Value::Null)
    }

    /// The graph's state at the start of this step, or the input of [`Command::send`](super::Command::send).
    pub fn state(&self) -> &Value {
        &self.0.state
    }

    /// The state, deserialised as `T`.
    ///
    /// # Errors
    /// `ValueError` if the state does not fit `T`.
    pub fn state_as<T: DeserializeOwned>(&self) -> Result<T, NodeError> {
        let read = T::deserialize(&self.0.state);
        read.map_err(|error| NodeError::new("ValueError", format!("the state of {}: {error}", self.0.node)))
    }

    /// The state's values by channel; empty if the node was sent an input that is not an object.
    pub fn values(&self) -> &JsonMap {
        static NONE: std::sync::LazyLock<JsonMap> = std::sync::LazyLock::new(JsonMap::new);
        self.0.state.as_object().unwrap_or(&NONE)
    }

    /// The run's config: `configurable`, `metadata`, `tags`, `recursion_limit`.
    pub fn config(&self) -> &Value {
        &self.shared().config
    }

    /// The run's context. If the graph has a context schema, only the keys of the schema.
    pub fn context(&self) -> &Value {
        &self.0.context
    }

    /// The long-term store.
    pub fn store(&self) -> Store<'_> {
        Store { context: self.storage() }
    }

    /// The checkpoints and store items that the run may use.
    pub fn storage(&self) -> &ExecutionContext {
        &self.shared().storage
    }

    /// Sends a `custom` event, if the run streams this mode.
    ///
    /// # Errors
    /// Fails if `data` has no JSON form or the run is over.
    pub async fn custom(&self, data: &impl Serialize) -> langopen_core::Result<()> {
        self.shared().emitter.emit("custom", self.outer(), data).await
    }

    /// Starts a message that is streamed piece by piece.
    pub fn message(&self) -> MessageStream {
        MessageStream::new(self.clone())
    }

    /// Asks a question and returns the answer.
    ///
    /// Without an answer, the node ends here: the run ends, and the thread becomes interrupted. The run that resumes
    /// the thread executes the node again from its start, and this call then returns the answer. So the code before
    /// this call runs twice. Several questions are answered in order.
    ///
    /// # Errors
    /// The error ends the node: pass it on with `?`.
    pub fn interrupt(&self, question: impl Into<Value>) -> Result<Value, NodeError> {
        let mut asked = self.0.asked.lock();
        let at = asked.count;
        asked.count += 1;
        if let Some(answer) = asked.answers.get(at) {
            return Ok(answer.clone());
        }
        if let Some(answer) = self.shared().answer.lock().take() {
            asked.answers.push(answer.clone());
            return Ok(answer);
        }
        let id = interrupt_id(&self.0.location.namespace);
        Err(NodeError::interrupted(vec![Interrupt { id, value: question.into() }]))
    }

    /// The metadata of the messages that the node streams.
    pub(super) fn message_metadata(&self) -> Value {
        let mut metadata = self.config()["metadata"].as_object().cloned().unwrap_or_default();
        let Turn { location, node, triggers, path, .. } = self.0.as_ref();
        let own = json!({
            "langgraph_step": location.step, "langgraph_node": node, "langgraph_triggers": triggers, "langgraph_path": path,
            "langgraph_checkpoint_ns": location.namespace, "checkpoint_ns": location.namespace,
        });
        metadata.extend(super::messages::object(own));
        Value::Object(metadata)
    }

    pub(super) fn task_id(&self) -> &str {
        self.0.location.namespace.rsplit(':').next().unwrap_or_default()
    }
}

impl Graph {
    /// The run's context, as the nodes of this graph see it. If the run has no context, its `configurable` supplies the
    /// keys of the schema.
    fn context_of(&self, shared: &Shared) -> Value {
        let given = shared.kwargs.get("context").and_then(Value::as_object).filter(|context| !context.is_empty());
        let Some(fields) = self.0.schemas.context.as_ref().and_then(|schema| schema["properties"].as_object()) else {
            return given.cloned().map_or(Value::Null, Value::Object);
        };
        let given = given.or_else(|| shared.config["configurable"].as_object());
        let own = given.into_iter().flatten().filter(|(key, _)| fields.contains_key(*key));
        Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
