//! Channels: the parts of a graph's state, and the rules by which writes change their values.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::error::NodeError;
use super::messages;

type Reduce = Arc<dyn Fn(Value, Value) -> Result<Value, NodeError> + Send + Sync>;

/// A rule by which the writes of nodes change a part of the state.
#[derive(Clone)]
pub struct Channel(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    /// Holds the last value; accepts one write per step.
    Last,
    /// Starts with a value and reduces the writes one by one.
    Reduce(Value, Reduce),
    /// A list of messages.
    Messages,
    /// Holds a value for one step.
    Ephemeral,
    /// Becomes available when all these names were written.
    Barrier(Vec<String>),
    /// Holds all writes of a step, for one step.
    Topic,
}

impl Channel {
    /// Holds the last value. If two nodes write it in the same step, the run fails.
    pub fn last_value() -> Self {
        Self(Kind::Last)
    }

    /// Holds a growing list. Each write is a list, and its items are appended.
    pub fn append() -> Self {
        Self::reducer(Value::Array(Vec::new()), |mut held, more| match (&mut held, more) {
            (Value::Array(items), Value::Array(more)) => {
                items.extend(more);
                Ok(held)
            }
            (_, other) => {
                Err(NodeError::new("TypeError", format!("expected a list to append, got {}", kind_of(&other))))
            }
        })
    }

    /// Holds a list of messages, with the rules of `add_messages`:
    ///
    /// - A message whose id is already in the list replaces that message.
    /// - A message of type `remove` removes the message with its id.
    /// - Any other message is appended.
    ///
    /// Nodes may write messages in every form that clients may send. A message without an id gets one.
    pub fn messages() -> Self {
        Self(Kind::Messages)
    }

    /// Starts with `start`. `reduce` receives the current value and the written one and returns the new value.
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
    /// The value before the first write.
    pub(super) fn start(&self) -> Option<Value> {
        match self {
            Self::Reduce(start, _) => Some(start.clone()),
            Self::Messages => Some(Value::Array(Vec::new())),
            _ => None,
        }
    }

    /// Applies the writes of a step, possibly none. Returns whether the channel changed.
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

    /// Whether the value can trigger a node that waits for this channel.
    pub(super) fn is_available(&self, held: Option<&Value>) -> bool {
        match (self, held) {
            (Self::Barrier(names), Some(Value::Array(seen))) => seen.len() == names.len(),
            (_, held) => held.is_some(),
        }
    }

    /// Marks the value as used by a node that it triggered. Returns whether the channel changed.
    pub(super) fn consume(&self, held: &mut Option<Value>) -> bool {
        let full = matches!(self, Self::Barrier(_)) && self.is_available(held.as_ref());
        if full {
            *held = None;
        }
        full
    }
}

/// The kind of a value, for error messages.
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
