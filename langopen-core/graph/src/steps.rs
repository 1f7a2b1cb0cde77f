//! Executes a graph step by step, until no task is left or a node asks a question.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use langopen_core::error::Result;
use langopen_core::json::JsonMap;
use langopen_core::model::CheckpointKey;
use serde_json::{Value, json};

use super::Graph;
use super::apply::{Applied, apply};
use super::checkpoint::{Checkpoint, Saved};
use super::error::{Cause, NodeError};
use super::plan::{INTERRUPT, Task};
use super::run::Shared;
use super::stream::Trace;

/// The start of an execution.
pub(super) enum Given {
    Input(Value),
    Command(JsonMap),
    /// Nothing: the graph continues where it stopped.
    Nothing,
}

/// The checkpoint at which a graph starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// None: the graph starts anew.
    Nothing,
    /// The newest checkpoint.
    Newest,
    /// The checkpoint that the run names, if any. The steps after it are then executed again.
    Named,
}

/// The progress of an earlier attempt of the run.
pub(super) enum Progress {
    None,
    Started,
    Finished,
}

/// One graph of a run: the root graph or a subgraph.
pub(super) struct Level {
    pub(super) shared: Arc<Shared>,
    pub(super) graph: Graph,
    pub(super) namespace: String,
    /// The checkpoint ids of the outer graphs, by namespace.
    pub(super) parents: JsonMap,
    pub(super) saved: Saved,
    pub(super) tasks: Vec<Task>,
    /// The number of the next step; `last_step` is the last permitted one.
    pub(super) step: i64,
    last_step: i64,
    /// Whether the graph resumes from where it stopped. Until its first step ends, its subgraphs resume too.
    pub(super) resumes: bool,
    /// Whether the graph executes the steps after its checkpoint again.
    pub(super) replays: bool,
    /// The stored channel versions; `stored` is the id of the stored checkpoint.
    pub(super) known: BTreeMap<String, String>,
    pub(super) stored: Option<String>,
    /// The checkpoint before the current one, whether it is stored or not.
    pub(super) previous: Option<String>,
}

impl Level {
    /// Reads the graph's checkpoint.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        graph: &Graph,
        namespace: String,
        parents: JsonMap,
        from: From,
    ) -> Result<Self> {
        let named = shared.config["configurable"]["checkpoint_id"].as_str().filter(|_| from == From::Named);
        let found = if from == From::Nothing || shared.run.temporary {
            None
        } else {
            let key = CheckpointKey {
                thread_id: shared.run.thread_id,
                checkpoint_ns: namespace.clone(),
                checkpoint_id: named.map(str::to_owned),
            };
            shared.storage.checkpoint(&key).await?
        };
        let replays = named.is_some();
        let saved = found.map(|tuple| Saved::read(&graph.0, tuple)).transpose()?;
        let step = saved.as_ref().map_or(-1, |saved| saved.step() + 1);
        let stored = saved.as_ref().map(|saved| saved.checkpoint.id.clone());
        let saved = saved.unwrap_or_else(|| Saved {
            checkpoint: Checkpoint::first(&graph.0, shared.clock.as_ref()),
            metadata: JsonMap::new(),
            parent_id: None,
            pending: Vec::new(),
        });
        Ok(Self {
            last_step: step + shared.recursion_limit() + 1,
            known: saved.checkpoint.versions.clone(),
            previous: saved.parent_id.clone(),
            shared: Arc::clone(shared),
            graph: graph.clone(),
            namespace,
            parents,
            saved,
            tasks: Vec::new(),
            step,
            resumes: false,
            replays,
            stored,
        })
    }

    /// The progress of an earlier attempt of this run.
    pub(super) fn progress(&self) -> Progress {
        let own =
            self.saved.metadata.get("run_id").and_then(Value::as_str) == Some(&self.shared.run.run_id.to_string());
        if self.shared.run.attempt <= 1 || !own {
            return Progress::None;
        }
        let waits = !self.graph.0.next_tasks(&self.saved.checkpoint, &self.namespace, self.step).is_empty();
        match (waits, self.saved.source()) {
            (true, _) => Progress::Started,
            (false, Some("loop")) => Progress::Finished,
            (false, _) => Progress::None,
        }
    }

    pub(super) fn is_root(&self) -> bool {
        self.namespace.is_empty()
    }

    /// Runs until the end or a stop, and returns the state. `resumes` is the decision of the outer graph.
    pub(super) async fn run(&mut self, given: Given, resumes: Option<bool>) -> Result<JsonMap, NodeError> {
        let outcome = match self.begin(given, resumes).await {
            Ok(()) => self.go_on().await,
            Err(error) => Err(error),
        };
        let stopped = matches!(&outcome, Err(NodeError(Cause::Interrupted(_))));
        if self.shared.stores_end() && (self.is_root() || outcome.is_err()) {
            self.store_end().await?;
        }
        if stopped && self.is_root() {
            self.send_stop(&outcome).await?;
        }
        outcome.map(|()| self.state())
    }

    /// Runs a subgraph, like [`Level::run`]. The future is boxed, because the nodes of a subgraph may hold graphs
    /// again.
    pub(super) fn run_inside(&mut self, given: Given, resumes: bool) -> BoxFuture<'_, Result<JsonMap, NodeError>> {
        Box::pin(self.run(given, Some(resumes)))
    }

    pub(super) fn state(&self) -> JsonMap {
        self.saved.checkpoint.state(&self.graph.0)
    }

    async fn go_on(&mut self) -> Result<(), NodeError> {
        let mut recalls = !self.replays;
        loop {
            if self.step > self.last_step {
                let limit = self.shared.recursion_limit();
                return Err(NodeError::new(
                    "GraphRecursionError",
                    format!(
                        "Recursion limit of {limit} reached without hitting a stop condition. You can increase the limit by setting the \
                         `recursion_limit` config key."
                    ),
                ));
            }
            self.tasks = self.graph.0.next_tasks(&self.saved.checkpoint, &self.namespace, self.step);
            self.send_checkpoint().await?;
            if self.tasks.is_empty() {
                return Ok(());
            }
            if recalls {
                self.tasks.iter_mut().for_each(|task| task.recall(&self.saved.pending));
            }
            if self.stops_here("interrupt_before", &self.graph.0.interrupt_before) {
                return Err(NodeError::interrupted(Vec::new()));
            }
            self.send_tasks().await?;
            self.execute().await?;
            let tasks = std::mem::take(&mut self.tasks);
            let updated = self.apply(&tasks.iter().map(Task::applied).collect::<Vec<_>>())?;
            self.tasks = tasks;
            // A function's initial state is always sent, even if the input did not change it.
            let begins = self.graph.0.open && self.tasks.iter().any(|task| !task.is_shown());
            if updated || begins {
                self.send_values().await?;
            }
            self.saved.pending.clear();
            if self.is_root() {
                // The answer applies only to the first step of the run.
                self.shared.answer.lock().take();
            }
            recalls = true;
            self.put("loop").await?;
            if self.stops_here("interrupt_after", &self.graph.0.interrupt_after) {
                return Err(NodeError::interrupted(Vec::new()));
            }
            self.resumes = false;
        }
    }

    /// Applies writes to the state. Returns whether clients see a change.
    pub(super) fn apply(&mut self, tasks: &[Applied<'_>]) -> Result<bool, NodeError> {
        let updated = apply(&self.graph.0, &mut self.saved.checkpoint, tasks)?;
        Ok(updated.iter().any(|channel| self.graph.0.is_public(channel)))
    }

    /// Whether the graph must stop at one of the current tasks. It does not stop twice without a change in between.
    fn stops_here(&self, key: &str, own: &[String]) -> bool {
        let asked = if self.is_root() { self.shared.stops(key) } else { Vec::new() };
        let nodes = if asked.is_empty() { own } else { &asked };
        let Checkpoint { versions, seen, .. } = &self.saved.checkpoint;
        let seen = seen.get(INTERRUPT);
        let is_new = versions.iter().any(|(channel, version)| seen.and_then(|seen| seen.get(channel)) < Some(version));
        let is_meant = |task: &Task| task.is_shown() && nodes.iter().any(|node| node == "*" || *node == task.name);
        is_new && self.tasks.iter().any(is_meant)
    }

    pub(super) async fn send_values(&self) -> Result<()> {
        if self.shared.emitter.wants("values", &self.namespace) {
            self.shared.emitter.emit("values", &self.namespace, &self.state()).await?;
        }
        Ok(())
    }

    /// Sends the last events of a root graph that stops: the writes of finished tasks, and the stop itself.
    async fn send_stop(&mut self, outcome: &Result<(), NodeError>) -> Result<(), NodeError> {
        if self.tasks.iter().any(|task| !task.writes.is_empty()) && !self.saved.pending.is_empty() {
            let before = self.saved.checkpoint.clone();
            let tasks = std::mem::take(&mut self.tasks);
            let ended: Vec<_> = tasks.iter().filter(|task| !task.writes.is_empty()).map(Task::applied).collect();
            let updated = self.apply(&ended)?;
            if updated {
                self.send_values().await?;
            }
            drop(ended);
            self.tasks = tasks;
            if !self.shared.run.temporary {
                self.saved.checkpoint = before;
            }
        }
        if let Err(NodeError(Cause::Interrupted(interrupts))) = outcome
            && interrupts.is_empty()
        {
            self.shared.emitter.emit("updates", &self.namespace, &json!({ INTERRUPT: [] })).await?;
        }
        Ok(())
    }

    async fn send_checkpoint(&self) -> Result<()> {
        let emitter = &self.shared.emitter;
        let wanted = emitter.wants("checkpoints", &self.namespace) || emitter.wants("debug", &self.namespace);
        if self.shared.run.temporary || !wanted {
            return Ok(());
        }
        let config = |id: &str| {
            let mut configurable = self.shared.config["configurable"].as_object().cloned().unwrap_or_default();
            configurable.retain(|key, _| !key.starts_with("__"));
            configurable.insert("checkpoint_ns".to_owned(), self.namespace.as_str().into());
            configurable.insert("checkpoint_id".to_owned(), id.into());
            if !self.parents.is_empty() {
                let mut map = self.parents.clone();
                map.insert(self.namespace.clone(), id.into());
                configurable.insert("checkpoint_map".to_owned(), Value::Object(map));
            }
            json!({"configurable": configurable})
        };
        let metadata = &self.saved.metadata;
        let tasks: Vec<_> = self.tasks.iter().map(|task| self.shown_task(task)).collect();
        let record = json!({
            "config": config(&self.saved.checkpoint.id),
            "parent_config": self.previous.as_deref().map(config),
            "values": self.state(),
            "metadata": {"source": metadata.get("source"), "step": metadata.get("step"), "parents": self.parents},
            "next": self.tasks.iter().map(|task| &task.name).collect::<Vec<_>>(),
            "tasks": tasks,
        });
        let at = (self.step - 1, self.shared.clock.as_ref());
        emitter.trace(Trace::Checkpoint, &self.namespace, at, record).await
    }

    fn shown_task(&self, task: &Task) -> Value {
        let inside = self.graph.0.node(&task.name).is_some_and(|node| node.subgraph().is_some());
        let state = inside.then(|| {
            let namespace = task.namespace(&self.namespace);
            json!({"configurable": {"thread_id": self.shared.run.thread_id, "checkpoint_ns": namespace}})
        });
        json!({"id": task.id, "name": task.name, "interrupts": [], "state": state})
    }
}
