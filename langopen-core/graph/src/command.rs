//! What a node returns.

use langopen_core::json::JsonMap;
use serde_json::Value;

pub use langopen_core::executor::{END, START};

/// What a node wants of its graph: an update of the state, and where to go besides the graph's edges.
///
/// A JSON object is an update; `null` and `()` are none.
#[derive(Debug, Clone, Default)]
pub struct Command {
    pub(super) update: Value,
    pub(super) goto: Vec<Goto>,
}

/// Where a graph goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Goto {
    /// At this node, with the graph's state; [`END`] is nowhere.
    Node(String),
    /// At this node, with an input of its own. Each one is a task, so one node may run many times at once.
    Send {
        /// The node.
        node: String,
        /// What it gets in place of the state.
        input: Value,
    },
}

impl Command {
    /// Changes nothing and goes where the edges lead.
    pub fn new() -> Self {
        Self::default()
    }

    /// Updates the state: a JSON object, whose keys are channels.
    #[must_use]
    pub fn update(mut self, update: impl Into<Value>) -> Self {
        self.update = update.into();
        self
    }

    /// Goes there too; may be said several times.
    #[must_use]
    pub fn goto(mut self, goto: impl Into<Goto>) -> Self {
        self.goto.push(goto.into());
        self
    }

    /// Runs a node with this input; may be said several times.
    #[must_use]
    pub fn send(self, node: impl Into<String>, input: impl Into<Value>) -> Self {
        self.goto(Goto::Send { node: node.into(), input: input.into() })
    }

    /// Reads the update and the targets of a command as the wire has it: `{update, goto}`.
    pub(super) fn read(command: &JsonMap) -> Self {
        let goto = match command.get("goto") {
            Some(Value::Array(targets)) => targets.iter().filter_map(Goto::read).collect(),
            Some(target) => Goto::read(target).into_iter().collect(),
            None => Vec::new(),
        };
        Self { update: command.get("update").map(pairs).unwrap_or_default(), goto }
    }
}

/// An update as an object; the wire has it as pairs of key and value too.
fn pairs(update: &Value) -> Value {
    let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(key), value]) => Some((key.clone(), value.clone())),
        _ => None,
    };
    let as_object = update.as_array().and_then(|pairs| pairs.iter().map(pair).collect::<Option<JsonMap>>());
    as_object.map_or_else(|| update.clone(), Value::Object)
}

impl Goto {
    /// Reads a node's name, or `{node, input}`.
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
