//! Plans the next tasks from the new values in the channels.

use langopen_core::json::JsonMap;
use serde_json::{Value, json};
use uuid::Uuid;

use super::apply::Applied;
use super::channel::Kind;
use super::checkpoint::{Checkpoint, Pending};
use super::command::{Command, END, Goto, START};
use super::error::NodeError;
use super::{Graph, Shape};

/// Reserved channels for writes that are not part of the state.
pub(super) const ERROR: &str = "__error__";
pub(super) const INTERRUPT: &str = "__interrupt__";
pub(super) const RESUME: &str = "__resume__";
/// Marks the end of a task that wrote nothing.
pub(super) const NO_WRITES: &str = "__no_writes__";
/// Holds the inputs of tasks that commands sent.
const SENDS: &str = "__sends__";
/// The task id of writes from outside of the graph.
pub(super) const NO_TASK: &str = "00000000-0000-0000-0000-000000000000";
/// The UUID namespace for the ids of tasks and interrupts.
const IDS: Uuid = Uuid::from_u128(0x5d2f_6f0e_9f53_4f0e_8a77_1c64_9e0b_6a42);

/// A value written to a channel.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) channel: String,
    pub(super) value: Value,
}

/// One execution of a node.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) name: String,
    /// The path that determines the order in which writes are applied; states show it as `shown_path`.
    pub(super) path: String,
    pub(super) shown_path: Value,
    pub(super) triggers: Vec<String>,
    pub(super) input: Value,
    pub(super) writes: Vec<Write>,
}

impl Write {
    pub(super) fn new(channel: impl Into<String>, value: Value) -> Self {
        Self { channel: channel.into(), value }
    }
}

/// The index of a write that is not part of the state. Such a write replaces the stored one.
pub(super) fn index_of(channel: &str) -> Option<i64> {
    Some(match channel {
        ERROR => -1,
        INTERRUPT => -3,
        RESUME => -4,
        _ => return None,
    })
}

impl Task {
    pub(super) fn applied(&self) -> Applied<'_> {
        Applied { name: &self.name, path: &self.path, triggers: &self.triggers, writes: &self.writes }
    }

    /// The namespace of the task's own graph.
    pub(super) fn namespace(&self, outer: &str) -> String {
        if outer.is_empty() {
            format!("{}:{}", self.name, self.id)
        } else {
            format!("{outer}|{}:{}", self.name, self.id)
        }
    }

    /// Whether the task is a node of the graph. The task that applies the input is not.
    pub(super) fn is_shown(&self) -> bool {
        self.name != START
    }

    /// Restores the writes of an earlier attempt at this step.
    pub(super) fn recall(&mut self, pending: &[Pending]) {
        let own = pending.iter().filter(|pending| pending.task_id == self.id);
        let writes = own.filter(|pending| index_of(&pending.write.channel).is_none());
        self.writes.extend(writes.map(|pending| pending.write.clone()));
    }
}

/// The id of the questions in a namespace.
pub(super) fn interrupt_id(namespace: &str) -> String {
    Uuid::new_v5(&IDS, namespace.as_bytes()).simple().to_string()
}

pub(super) fn branch_to(node: &str) -> String {
    format!("branch:to:{node}")
}

fn join_of(from: &[String], to: &str) -> String {
    format!("join:{}:{to}", from.join("+"))
}

impl Shape {
    /// The rule of a channel; `None` if the graph has no such channel.
    pub(super) fn channel(&self, name: &str) -> Option<Kind> {
        if let Some((_, kind)) = self.channels.iter().find(|(held, _)| held == name) {
            return Some(kind.clone());
        }
        match name {
            SENDS => Some(Kind::Topic),
            START => Some(Kind::Ephemeral),
            _ if name.starts_with("branch:to:") => Some(Kind::Ephemeral),
            _ if name.starts_with("join:") => {
                let join = self.joins.iter().find(|(from, to)| join_of(from, to) == name);
                join.map(|(from, _)| Kind::Barrier(from.clone()))
            }
            _ => (self.open && !name.starts_with("__")).then_some(Kind::Last),
        }
    }

    /// Whether clients see the channel.
    pub(super) fn is_public(&self, name: &str) -> bool {
        let internal = name.starts_with("__") || name.starts_with("branch:to:") || name.starts_with("join:");
        !internal && (self.open || self.channels.iter().any(|(held, _)| held == name))
    }

    /// The channels that trigger a node.
    fn triggers(&self, node: &str) -> Vec<String> {
        if node == START {
            return vec![START.to_owned()];
        }
        let joins = self.joins.iter().filter(|(_, to)| to == node).map(|(from, to)| join_of(from, to));
        std::iter::once(branch_to(node)).chain(joins).collect()
    }

    /// The tasks of the next step.
    pub(super) fn next_tasks(&self, checkpoint: &Checkpoint, namespace: &str, step: i64) -> Vec<Task> {
        let id = |what: &str| {
            let seed = format!("{}\n{namespace}\n{step}\n{what}", checkpoint.id);
            Uuid::new_v5(&IDS, seed.as_bytes()).to_string()
        };
        let mut tasks = Vec::new();
        let sends = checkpoint.values.get(SENDS).and_then(Value::as_array).into_iter().flatten();
        for (at, send) in sends.filter_map(Goto::read).enumerate() {
            let Goto::Send { node, input } = send else { continue };
            tasks.push(Task {
                id: id(&format!("push {at} {node}")),
                name: node,
                path: format!("push {at:010}"),
                shown_path: json!(["__pregel_push", at]),
                triggers: vec![SENDS.to_owned()],
                input,
                writes: Vec::new(),
            });
        }
        let nodes = std::iter::once(START).chain(self.nodes.iter().map(|(name, _)| name.as_str()));
        for node in nodes {
            let seen = checkpoint.seen.get(node);
            let is_new = |trigger: &String| {
                let held = checkpoint.values.get(trigger);
                let available = self.channel(trigger).is_some_and(|kind| kind.is_available(held));
                available && checkpoint.versions.get(trigger) > seen.and_then(|seen| seen.get(trigger))
            };
            let triggers = self.triggers(node);
            let new: Vec<String> = triggers.into_iter().filter(is_new).collect();
            if new.is_empty() {
                continue;
            }
            let input = match node {
                START => checkpoint.values.get(START).cloned().unwrap_or_default(),
                _ => Value::Object(checkpoint.state(self)),
            };
            tasks.push(Task {
                id: id(&format!("pull {node}")),
                name: node.to_owned(),
                path: format!("pull {node}"),
                shown_path: json!(["__pregel_pull", node]),
                triggers: new,
                input,
                writes: Vec::new(),
            });
        }
        tasks
    }
}

impl Graph {
    /// The writes of a node's command: its update, and the triggers of the next nodes.
    pub(super) fn writes(&self, node: &str, state: &Checkpoint, command: Command) -> Result<Vec<Write>, NodeError> {
        let shape = &self.0;
        let mut writes = match command.update {
            Value::Object(update) => self.public_writes(update)?,
            Value::Null => Vec::new(),
            other => {
                return Err(NodeError::invalid_update(format!(
                    "Expected an object as the update of {node}, got {other}"
                )));
            }
        };
        let after: Vec<_> = shape.edges.iter().filter(|(from, _)| from == node).map(|(_, to)| Goto::from(to)).collect();
        let branches: Vec<_> = shape.branches.iter().filter(|(from, _)| from == node).collect();
        let mut goto = command.goto;
        goto.extend(after);
        if !branches.is_empty() {
            let mut seen = state.clone();
            super::apply::apply(shape, &mut seen, &[Applied { name: node, path: "", triggers: &[], writes: &writes }])?;
            let seen = seen.state(shape);
            goto.extend(branches.iter().flat_map(|(_, branch)| (branch.choose)(&seen)));
        }
        for target in goto {
            writes.extend(self.arrow(target)?);
        }
        for (from, to) in shape.joins.iter().filter(|(from, _)| from.iter().any(|from| from == node)) {
            writes.push(Write::new(join_of(from, to), node.into()));
        }
        Ok(writes)
    }

    /// The writes of an update, to channels that the graph has. Messages get their ids here, so that events and the
    /// state show the same ids.
    pub(super) fn public_writes(&self, update: JsonMap) -> Result<Vec<Write>, NodeError> {
        let known = update.into_iter().filter(|(key, _)| self.0.is_public(key));
        let writes = known.map(|(key, value)| {
            let messages = matches!(self.0.channel(&key), Some(Kind::Messages));
            let value = if messages { Value::Array(super::messages::list(value)?) } else { value };
            Ok(Write::new(key, value))
        });
        writes.collect()
    }

    /// The write that triggers a node; none for the end.
    pub(super) fn arrow(&self, target: Goto) -> Result<Option<Write>, NodeError> {
        let node = target.node();
        if node == END {
            return Ok(None);
        }
        if self.0.node(node).is_none() {
            return Err(NodeError::invalid_update(format!("there is no node {node:?} to go to")));
        }
        Ok(Some(match target {
            Goto::Node(node) => Write::new(branch_to(&node), Value::Null),
            Goto::Send { node, input } => Write::new(SENDS, json!({"node": node, "input": input})),
        }))
    }
}
