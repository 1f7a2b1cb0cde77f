//! The end of a step: applies the writes of its tasks to the state.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Shape;
use super::checkpoint::Checkpoint;
use super::error::NodeError;
use super::plan::{Write, index_of};

/// Applies the writes of tasks to the channels, as the end of their step. Returns the channels that have a new value.
pub(super) fn apply(
    shape: &Shape,
    checkpoint: &mut Checkpoint,
    tasks: &[Applied<'_>],
) -> Result<BTreeSet<String>, NodeError> {
    let mut tasks: Vec<_> = tasks.iter().collect();
    tasks.sort_by_key(|task| task.path);
    let steps = tasks.iter().any(|task| !task.triggers.is_empty());
    for task in &tasks {
        let seen = checkpoint.seen.entry(task.name.to_owned()).or_default();
        for trigger in task.triggers {
            if let Some(version) = checkpoint.versions.get(trigger) {
                seen.insert(trigger.clone(), version.clone());
            }
        }
    }
    let version = checkpoint.next_version();
    let mut change = Change { shape, checkpoint, version, updated: BTreeSet::new() };
    for trigger in tasks.iter().flat_map(|task| task.triggers) {
        change.consume(trigger);
    }
    let mut written: Vec<(&str, Vec<Value>)> = Vec::new();
    for write in tasks.iter().flat_map(|task| task.writes).filter(|write| index_of(&write.channel).is_none()) {
        match written.iter_mut().find(|(channel, _)| *channel == write.channel) {
            Some((_, values)) => values.push(write.value.clone()),
            None => written.push((&write.channel, vec![write.value.clone()])),
        }
    }
    for (channel, values) in written {
        change.update(channel, values)?;
    }
    if steps {
        // Channels that last for one step lose their values.
        let held: Vec<String> = change.checkpoint.values.keys().cloned().collect();
        for channel in held.into_iter().filter(|channel| !change.shape.is_public(channel)) {
            if !change.updated.contains(&channel) {
                change.update(&channel, Vec::new())?;
            }
        }
    }
    Ok(change.updated)
}

/// A task's effects, ready to be applied.
pub(super) struct Applied<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a str,
    pub(super) triggers: &'a [String],
    pub(super) writes: &'a [Write],
}

struct Change<'a> {
    shape: &'a Shape,
    checkpoint: &'a mut Checkpoint,
    version: String,
    updated: BTreeSet<String>,
}

impl Change<'_> {
    fn consume(&mut self, channel: &str) {
        let Some(kind) = self.shape.channel(channel) else { return };
        let mut held = self.checkpoint.values.get(channel).cloned();
        if kind.consume(&mut held) {
            self.put(channel, held);
        }
    }

    fn update(&mut self, channel: &str, values: Vec<Value>) -> Result<(), NodeError> {
        let Some(kind) = self.shape.channel(channel) else { return Ok(()) };
        // Moved, not copied, because a list may be long.
        let mut held = self.checkpoint.values.get_mut(channel).map(Value::take);
        if kind.update(channel, &mut held, values)? {
            let available = kind.is_available(held.as_ref());
            self.put(channel, held);
            if available {
                self.updated.insert(channel.to_owned());
            }
        } else if let Some(held) = held {
            self.checkpoint.values.insert(channel.to_owned(), held);
        }
        Ok(())
    }

    fn put(&mut self, channel: &str, held: Option<Value>) {
        match held {
            Some(value) => self.checkpoint.values.insert(channel.to_owned(), value),
            None => self.checkpoint.values.shift_remove(channel),
        };
        self.checkpoint.versions.insert(channel.to_owned(), self.version.clone());
    }
}
