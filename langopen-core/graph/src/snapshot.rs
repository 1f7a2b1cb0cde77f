//! States as documents: the ThreadState of the wire, made from a checkpoint and the writes after it.

use futures::future::BoxFuture;
use langopen_core::error::Result;
use langopen_core::executor::ExecutionContext;
use langopen_core::ids::ThreadId;
use langopen_core::json::JsonMap;
use langopen_core::model::CheckpointKey;
use serde_json::{Value, json};

use super::Graph;
use super::apply::{Applied, apply};
use super::checkpoint::{Pending, Saved};
use super::error::Interrupt;
use super::plan::{ERROR, INTERRUPT, NO_TASK, Task, index_of};

/// Reads the checkpoints of one graph on a thread.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    pub(super) context: &'a ExecutionContext,
    pub(super) graph: Graph,
    pub(super) thread_id: ThreadId,
    pub(super) namespace: String,
}

/// Options for showing a state.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Shows the current state: it includes the writes of finished tasks, and only open questions.
    pub(super) now: bool,
    /// Includes the states of subgraphs.
    pub(super) subgraphs: bool,
}

impl Reader<'_> {
    pub(super) async fn saved(&self, checkpoint_id: Option<&str>) -> Result<Option<Saved>> {
        let key = CheckpointKey {
            thread_id: self.thread_id,
            checkpoint_ns: self.namespace.clone(),
            checkpoint_id: checkpoint_id.map(str::to_owned),
        };
        let found = self.context.checkpoint(&key).await?;
        found.map(|tuple| Saved::read(&self.graph.0, tuple)).transpose()
    }

    /// The tasks that follow a checkpoint.
    pub(super) fn tasks(&self, saved: &Saved) -> Vec<Task> {
        self.graph.0.next_tasks(&saved.checkpoint, &self.namespace, saved.step() + 1)
    }

    /// The graph inside a task.
    fn inside(&self, task: &Task) -> Option<Self> {
        let graph = self.graph.0.node(&task.name)?.subgraph()?.clone();
        Some(Self { graph, namespace: task.namespace(&self.namespace), ..self.clone() })
    }

    /// Makes a ThreadState.
    pub(super) fn document<'s>(&'s self, saved: Option<&'s Saved>, look: Look) -> BoxFuture<'s, Result<JsonMap>> {
        Box::pin(async move {
            let Some(saved) = saved else { return Ok(nothing()) };
            let mut saved = saved.clone();
            let mut tasks = self.tasks(&saved);
            if look.now {
                catch_up(&self.graph, &mut saved, &mut tasks);
            }
            let mut shown = Vec::new();
            for task in &tasks {
                shown.push(self.task(&saved, task, look).await?);
            }
            let next: Vec<_> = tasks.iter().filter(|task| task.writes.is_empty()).map(|task| &task.name).collect();
            let interrupts: Vec<_> =
                shown.iter().filter_map(|task| task["interrupts"].as_array()).flatten().cloned().collect();
            let at = |id: &str| self.location(&saved, id);
            Ok(super::messages::object(json!({
                "values": saved.checkpoint.state(&self.graph.0),
                "next": next,
                "tasks": shown,
                "metadata": saved.metadata,
                "created_at": saved.checkpoint.created_at,
                "checkpoint": at(&saved.checkpoint.id),
                "parent_checkpoint": saved.parent_id.as_deref().map(at),
                "interrupts": interrupts,
                "checkpoint_id": saved.checkpoint.id,
                "parent_checkpoint_id": saved.parent_id,
            })))
        })
    }

    fn location(&self, saved: &Saved, id: &str) -> Value {
        let mut location = json!({"checkpoint_id": id, "thread_id": self.thread_id, "checkpoint_ns": self.namespace});
        if let Some(Value::Object(parents)) = saved.metadata.get("parents").filter(|parents| **parents != json!({})) {
            let mut map = parents.clone();
            map.insert(self.namespace.clone(), id.into());
            location["checkpoint_map"] = Value::Object(map);
        }
        location
    }

    async fn task(&self, saved: &Saved, task: &Task, look: Look) -> Result<Value> {
        let own = |pending: &&Pending| pending.task_id == task.id;
        let error = saved.pending.iter().filter(own).find(|pending| pending.write.channel == ERROR);
        let ended = written(saved, task);
        let result = ended.then(|| {
            let writes: Vec<_> = saved.pending.iter().filter(own).map(|pending| pending.write.clone()).collect();
            self.graph.result_of(&writes)
        });
        let interrupts = if look.now && ended { Vec::new() } else { questions(saved, task) };
        let inside = self.inside(task);
        let state = match &inside {
            Some(inside) if look.subgraphs => {
                let saved = inside.saved(None).await?;
                Value::Object(inside.document(saved.as_ref(), look).await?)
            }
            _ => Value::Null,
        };
        let checkpoint = inside.filter(|_| state.is_null());
        Ok(json!({
            "id": task.id,
            "name": task.name,
            "path": task.shown_path,
            "error": error.map(|pending| &pending.write.value),
            "interrupts": interrupts.iter().map(Interrupt::shown).collect::<Vec<_>>(),
            "checkpoint": checkpoint.map(|inside| json!({"thread_id": self.thread_id, "checkpoint_ns": inside.namespace})),
            "state": state,
            "result": result,
        }))
    }

    /// The open questions, by the innermost task that asked them.
    pub(super) fn open<'s>(&'s self, saved: Option<&'s Saved>) -> BoxFuture<'s, Result<JsonMap>> {
        Box::pin(async move {
            let mut found = JsonMap::new();
            let Some(saved) = saved else { return Ok(found) };
            for task in self.tasks(saved) {
                let asked = if written(saved, &task) { Vec::new() } else { questions(saved, &task) };
                if asked.is_empty() {
                    continue;
                }
                let inner = match self.inside(&task) {
                    Some(inside) => inside.open(inside.saved(None).await?.as_ref()).await?,
                    None => JsonMap::new(),
                };
                if inner.is_empty() {
                    found.insert(task.id, asked.iter().map(Interrupt::shown).collect());
                } else {
                    found.extend(inner);
                }
            }
            Ok(found)
        })
    }
}

/// Whether a task has finished.
fn written(saved: &Saved, task: &Task) -> bool {
    let own = saved.pending.iter().filter(|pending| pending.task_id == task.id);
    own.into_iter().any(|pending| index_of(&pending.write.channel).is_none())
}

/// The questions of a task.
fn questions(saved: &Saved, task: &Task) -> Vec<Interrupt> {
    let own = saved.pending.iter().filter(|pending| pending.task_id == task.id && pending.write.channel == INTERRUPT);
    own.filter_map(|pending| pending.write.value.as_array()).flatten().filter_map(Interrupt::read).collect()
}

/// Applies the writes after a checkpoint to its state.
pub(super) fn catch_up(graph: &Graph, saved: &mut Saved, tasks: &mut [Task]) {
    let outside = saved.pending.iter().filter(|p| p.task_id == NO_TASK && index_of(&p.write.channel).is_none());
    let outside: Vec<_> = outside.map(|pending| pending.write.clone()).collect();
    tasks.iter_mut().for_each(|task| task.recall(&saved.pending));
    let mut applied: Vec<_> = tasks.iter().filter(|task| !task.writes.is_empty()).map(Task::applied).collect();
    if !outside.is_empty() {
        applied.push(Applied { name: "__input__", path: "", triggers: &[], writes: &outside });
    }
    if !applied.is_empty() {
        let mut caught_up = saved.checkpoint.clone();
        // If the graph rejects a write here, it also rejected the write when it was made.
        if apply(&graph.0, &mut caught_up, &applied).is_ok() {
            saved.checkpoint = caught_up;
        }
    }
}

/// The state of a thread or subgraph without checkpoints.
pub(super) fn nothing() -> JsonMap {
    super::messages::object(json!({
        "values": {}, "next": [], "tasks": [], "metadata": null, "created_at": null, "checkpoint": null,
        "parent_checkpoint": null, "interrupts": [], "checkpoint_id": null, "parent_checkpoint_id": null,
    }))
}
