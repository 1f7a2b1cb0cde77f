//! The return values of nodes.

use langopen_core::json::JsonMap;
use serde_json::Value;

pub use langopen_core::executor::{END, START};

/// The result of a node: an update of the state, and targets in addition to the graph's edges.
///
/// A JSON object converts to an update; `null` and `()` convert to no update.
#[derive(Debug, Clone, Default)]
pub struct Command {
    pub(super) update: Value,
    pub(super) goto: Vec<Goto>,
}

/// A target: where the graph continues.
#[derive(Debug, Clone, PartialEq)]
pub enum Goto {
    /// This node, with the graph's state. [`END`] adds no node.
    Node(String),
    /// This node, with an input of its own. Each `Send` is a separate task, so one node may run many times at once.
    Send {
        /// The node.
        node: String,
        /// The input, in place of the state.
        input: Value,
    },
}

impl Command {
    /// Makes a command that changes nothing and follows the graph's edges.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the update of the state: a JSON object whose keys are channels.
    #[must_use]
    pub fn update(mut self, update: impl Into<Value>) -> Self {
        self.update = update.into();
        self
    }

    /// Adds a target. Repeat the call for more targets.
    #[must_use]
    pub fn goto(mut self, goto: impl Into<Goto>) -> Self {
        self.goto.push(goto.into());
        self
    }

    /// Runs a node with this input. Repeat the call for more tasks.
    #[must_use]
    pub fn send(self, node: impl Into<String>, input: impl Into<Value>) -> Self {
        self.goto(Goto::Send { node: node.into(), input: input.into() })
    }

    /// Reads a command of the wire: `{update, goto}`.
    pub(super) fn read(command: &JsonMap) -> Self {
        let goto = match command.get("goto") {
            Some(Value::Array(targets)) => targets.iter().filter_map(Goto::read).collect(),
            Some(target) => Goto::read(target).into_iter().collect(),
            None => Vec::new(),
        };
        Self { update: command.get("update").map(pairs).unwrap_or_default(), goto }
    }
}

/// Converts an update to an object. On the wire, an update may also be a list of key-value pairs.
fn pairs(update: &Value) -> Value {
    let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(key), value]) => Some((key.clone(), value.clone())),
        _ => None,
    };
    let as_object = update.as_array().and_then(|pairs| pairs.iter().map(pair).collect::<Option<JsonMap>>());
    as_object.map_or_else(|| update.clone(), Value::Object)
}

impl Goto {
    /// Reads the name of a node, or `{node, input}`.
    pub(super) fn read(target: &Value) -> Option<Self> {
        match target {
            Value::String(node) => Some(Self::Node(node.clone())),
            Value::Object(send) => {
                let input = send.get("input").or_else(|| send.get("arg")).cloned().unwrap_or_default();
                Some(Self::Send { node: send.get("node")?.as_str()?.to_owned(), input })
            }
            _ => None,
        }
    }

    pub(super) fn node(&self) -> &str {
        match self {
            Self::Node(node) | Self::Send { node, .. } => node,
        }
    }
}

impl<T: Into<String>> From<T> for Goto {
    fn from(node: T) -> Self {
        Self::Node(node.into())
    }
}

impl From<Value> for Command {
    fn from(update: Value) -> Self {
        Self::new().update(update)
    }
}

impl From<JsonMap> for Command {
    fn from(update: JsonMap) -> Self {
        Self::from(Value::Object(update))
    }
}

impl From<()> for Command {
    fn from((): ()) -> Self {
        Self::new()
    }
}
