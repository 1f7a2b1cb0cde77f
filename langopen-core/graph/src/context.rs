//! What a node sees of its run.

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

/// A run, as one of its graph's nodes sees it. Clones share the node's turn.
#[derive(Clone)]
pub struct NodeContext(Arc<Turn>);

/// Where a task runs.
#[derive(Clone)]
pub(super) struct TaskPlace {
    pub(super) shared: Arc<Shared>,
    pub(super) graph: Graph,
    /// The namespace of the task's graph, and of what happens inside the task.
    pub(super) outer: String,
    pub(super) namespace: String,
    pub(super) step: i64,
}

struct Turn {
    place: TaskPlace,
    node: String,
    triggers: Vec<String>,
    path: Value,
    state: Value,
    context: Value,
    asked: Mutex<Asked>,
}

/// The questions that the node asked so far, and the answers that there are.
struct Asked {
    count: usize,
    answers: Vec<Value>,
}

impl NodeContext {
    pub(super) fn new(place: TaskPlace, task: &Task, answers: Vec<Value>) -> Self {
        Self(Arc::new(Turn {
            context: place.graph.context_of(&place.shared),
            place,
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
        &self.0.place.shared
    }

    /// The namespace of the node's graph.
    pub(super) fn outer(&self) -> &str {
        &self.0.place.outer
    }

    /// The run's row.
    pub fn run(&self) -> &Run {
        &self.shared().run
    }

    /// The run's input; `null` without one.
    pub fn input(&self) -> &Value {
        self.shared().kwargs.get("input").unwrap_or(&Value::Null)
    }

    /// The graph's state as this step began, or what the node was sent ([`Command::send`](super::Command::send)).
    pub fn state(&self) -> &Value {
        &self.0.state
    }

    /// The state as a type of yours.
    ///
    /// # Errors
    /// `ValueError` when the state is not of that shape.
    pub fn state_as<T: DeserializeOwned>(&self) -> Result<T, NodeError> {
        let read = T::deserialize(&self.0.state);
        read.map_err(|error| NodeError::new("ValueError", format!("the state of {}: {error}", self.0.node)))
    }

    /// The state's values by channel; none when the node was sent something else than an object.
    pub fn values(&self) -> &JsonMap {
        static NONE: std::sync::LazyLock<JsonMap> = std::sync::LazyLock::new(JsonMap::new);
        self.0.state.as_object().unwrap_or(&NONE)
    }

    /// The run's config: `configurable`, `metadata`, `tags`, `recursion_limit`.
    pub fn config(&self) -> &Value {
        &self.shared().config
    }

    /// The run's context; of a graph with a context schema, the keys that the schema has.
    pub fn context(&self) -> &Value {
        &self.0.context
    }

    /// The long-term store.
    pub fn store(&self) -> Store<'_> {
        Store { context: self.reach(), lease: self.shared().lease() }
    }

    /// The storage that the run may reach.
    pub fn reach(&self) -> &ExecutionContext {
        &self.shared().reach
    }

    /// Sends a `custom` event, if the run asked for them.
    ///
    /// # Errors
    /// When `data` has no JSON form, or the run is over.
    pub async fn custom(&self, data: &impl Serialize) -> langopen_core::Result<()> {
        self.shared().emitter.emit("custom", self.outer(), data).await
    }

    /// Begins a message that is told piece by piece.
    pub fn message(&self) -> MessageStream {
        MessageStream::new(self.clone())
    }

    /// Asks, and gives the answer of the run that goes on. The first time there is none: the node ends here, with the
    /// run, and the thread waits. Then the node begins anew, and gets the answer here; so what it does before is done
    /// twice. Several questions are answered in order.
    ///
    /// # Errors
    /// The way to end the node: pass it on with `?`.
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
        let id = interrupt_id(&self.0.place.namespace);
        Err(NodeError::interrupted(vec![Interrupt { id, value: question.into() }]))
    }

    /// What goes with the messages that the node tells.
    pub(super) fn message_metadata(&self) -> Value {
        let mut metadata = self.config()["metadata"].as_object().cloned().unwrap_or_default();
        let Turn { place, node, triggers, path, .. } = self.0.as_ref();
        let own = json!({
            "langgraph_step": place.step, "langgraph_node": node, "langgraph_triggers": triggers, "langgraph_path": path,
            "langgraph_checkpoint_ns": place.namespace, "checkpoint_ns": place.namespace,
        });
        metadata.extend(super::messages::object(own));
        Value::Object(metadata)
    }

    pub(super) fn task_id(&self) -> &str {
        self.0.place.namespace.rsplit(':').next().unwrap_or_default()
    }
}

impl Graph {
    /// The run's context as this graph's nodes see it. A run with a configurable alone is served from that.
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
