//! Channels: the parts of a graph's state, and how what is written to them becomes their value.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::error::NodeError;
use super::messages;

type Reduce = Arc<dyn Fn(Value, Value) -> Result<Value, NodeError> + Send + Sync>;

/// How a channel takes what nodes write to it.
#[derive(Clone)]
pub struct Channel(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    /// Holds what was written last; once in a step.
    Last,
    /// Begins with a value, and takes writes one by one.
    Reduce(Value, Reduce),
    /// A list of messages.
    Messages,
    /// Holds a value for one step.
    Ephemeral,
    /// Waits for these names.
    Barrier(Vec<String>),
    /// Holds all that was written, for one step.
    Topic,
}

impl Channel {
    /// Holds the last value. Two nodes that write it in the same step are an error of the graph.
    pub fn last_value() -> Self {
        Self(Kind::Last)
    }

    /// A list that grows: what is written is a list, too, and is appended.
    pub fn append() -> Self {
        Self::reducer(Value::Array(Vec::new()), |mut held, more| match (&mut held, more) {
            (Value::Array(items), Value::Array(more)) => {
                items.extend(more);
                Ok(held)
            }
            (_, other) => Err(NodeError::new("TypeError", format!("a list is appended to, not {}", kind_of(&other)))),
        })
    }

    /// A list of messages, as `add_messages` keeps it: a message with the id of one that is there replaces it, one of type `remove`
    /// removes it, any other is appended. Messages may be written in every form that clients send; they get an id where they have none.
    pub fn messages() -> Self {
        Self(Kind::Messages)
    }

    /// Begins with `start`; `reduce` gets the value that it has and what was written, and gives the value that it then has.
    pub fn reducer(
        start: impl Into<Value>,
        reduce: impl Fn(Value, Value) -> Result<Value, NodeError> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Reduce(start.into(), Arc::new(reduce)))
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Last => "last value",
            Kind::Reduce(..) => "reducer",
            Kind::Messages => "messages",
            Kind::Ephemeral => "ephemeral",
            Kind::Barrier(_) => "barrier",
            Kind::Topic => "topic",
        })
    }
}

impl Kind {
    /// What it holds before anything was written.
    pub(super) fn start(&self) -> Option<Value> {
        match self {
            Self::Reduce(start, _) => Some(start.clone()),
            Self::Messages => Some(Value::Array(Vec::new())),
            _ => None,
        }
    }

    /// Takes what was written in a step, maybe nothing; says whether the channel changed.
    pub(super) fn update(&self, key: &str, held: &mut Option<Value>, written: Vec<Value>) -> Result<bool, NodeError> {
        let anything = !written.is_empty();
        match self {
            Self::Last if written.len() > 1 => {
                return Err(NodeError::invalid_update(format!(
                    "At key '{key}': Can receive only one value per step. Use a channel with a reducer to handle multiple values."
                )));
            }
            Self::Last if !anything => {}
            Self::Last => *held = written.into_iter().next(),
            Self::Reduce(start, reduce) => {
                for value in written {
                    *held = Some(reduce(held.take().unwrap_or_else(|| start.clone()), value)?);
                }
            }
            Self::Messages => {
                for value in written {
                    let before = held.take().unwrap_or_default();
                    *held = Some(messages::add(before, messages::list(value)?)?);
                }
            }
            Self::Ephemeral => {
                let changed = anything || held.is_some();
                *held = written.into_iter().next_back();
                return Ok(changed);
            }
            Self::Topic => {
                let changed = anything || held.is_some();
                *held = anything.then_some(Value::Array(written));
                return Ok(changed);
            }
            Self::Barrier(_) => {
                let Value::Array(seen) = held.get_or_insert_with(|| Value::Array(Vec::new())) else { return Ok(false) };
                let before = seen.len();
                for name in written {
                    if !seen.contains(&name) {
                        seen.push(name);
                    }
                }
                let changed = seen.len() > before;
                if seen.is_empty() {
                    *held = None;
                }
                return Ok(changed);
            }
        }
        Ok(anything)
    }

    /// Whether a node that waits for it may run.
    pub(super) fn is_available(&self, held: Option<&Value>) -> bool {
        match (self, held) {
            (Self::Barrier(names), Some(Value::Array(seen))) => seen.len() == names.len(),
            (_, held) => held.is_some(),
        }
    }

    /// A node that waited for it runs; says whether the channel changed.
    pub(super) fn consume(&self, held: &mut Option<Value>) -> bool {
        let full = matches!(self, Self::Barrier(_)) && self.is_available(held.as_ref());
        if full {
            *held = None;
        }
        full
    }
}

/// What a value is, for messages about wrong ones.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
