//! A graph at work: step after step, until nothing is left to do or somebody is asked.

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

/// What a graph begins with.
pub(super) enum Given {
    Input(Value),
    Command(JsonMap),
    /// It goes on where it stopped.
    Nothing,
}

/// Where a graph begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// Anew.
    Nothing,
    /// At its newest checkpoint.
    Newest,
    /// At the checkpoint that the run names, if it names one. Then what was done after that is done again.
    Named,
}

/// How far an earlier attempt of the run came.
pub(super) enum Progress {
    None,
    Started,
    Finished,
}

/// One graph of a run: the root, or one inside a node.
pub(super) struct Level {
    pub(super) shared: Arc<Shared>,
    pub(super) graph: Graph,
    pub(super) namespace: String,
    /// The checkpoints of the graphs around it, by their namespaces.
    pub(super) parents: JsonMap,
    pub(super) saved: Saved,
    pub(super) tasks: Vec<Task>,
    /// The number of the step to come, and of the last one that may be.
    pub(super) step: i64,
    last_step: i64,
    /// Whether it goes on from where it stopped; as long as its first step is not over, the graphs inside of it do so too.
    pub(super) resumes: bool,
    /// Whether it does again what was done after its checkpoint.
    pub(super) replays: bool,
    /// The versions that the storage has, and the checkpoint that it has.
    pub(super) known: BTreeMap<String, String>,
    pub(super) kept: Option<String>,
    /// The checkpoint before the present one, kept or not.
    pub(super) previous: Option<String>,
}

impl Level {
    /// Reads where a graph stands.
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
            shared.reach.storage.checkpoint(&shared.reach.scope, &key).await?
        };
        let replays = named.is_some();
        let saved = found.map(|tuple| Saved::read(&graph.0, tuple)).transpose()?;
        let step = saved.as_ref().map_or(-1, |saved| saved.step() + 1);
        let kept = saved.as_ref().map(|saved| saved.checkpoint.id.clone());
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
            kept,
        })
    }

    /// How far an earlier attempt of this run came.
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

    /// Runs to the end, or until it stops; what the state is then. `resumes` is what the graph around it says.
    pub(super) async fn run(&mut self, given: Given, resumes: Option<bool>) -> Result<JsonMap, NodeError> {
        let outcome = match self.begin(given, resumes).await {
            Ok(()) => self.go_on().await,
            Err(error) => Err(error),
        };
        let stopped = matches!(&outcome, Err(NodeError(Cause::Interrupted(_))));
        if self.shared.keeps_end() && (self.is_root() || outcome.is_err()) {
            self.keep_end().await?;
        }
        if stopped && self.is_root() {
            self.tell_stop(&outcome).await?;
        }
        outcome.map(|()| self.state())
    }

    /// The same, of a graph inside a node. Boxed, because its nodes may hold graphs again.
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
            self.tell_checkpoint().await?;
            if self.tasks.is_empty() {
                return Ok(());
            }
            if recalls {
                self.tasks.iter_mut().for_each(|task| task.recall(&self.saved.pending));
            }
            if self.stops_here("interrupt_before", &self.graph.0.interrupt_before) {
                return Err(NodeError::interrupted(Vec::new()));
            }
            self.tell_tasks().await?;
            self.execute().await?;
            let tasks = std::mem::take(&mut self.tasks);
            let updated = self.apply(&tasks.iter().map(Task::applied).collect::<Vec<_>>())?;
            self.tasks = tasks;
            // Of a function, the state that it begins with is told whatever the input changed of it.
            let begins = self.graph.0.open && self.tasks.iter().any(|task| !task.is_shown());
            if updated || begins {
                self.tell_values().await?;
            }
            self.saved.pending.clear();
            if self.is_root() {
                // An answer is for the questions of the step that the run goes on with.
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

    /// Brings writes into the state; says whether clients see a change.
    pub(super) fn apply(&mut self, tasks: &[Applied<'_>]) -> Result<bool, NodeError> {
        let updated = apply(&self.graph.0, &mut self.saved.checkpoint, tasks)?;
        Ok(updated.iter().any(|channel| self.graph.0.is_public(channel)))
    }

    /// Whether one of the present tasks is such that the graph stops at it, and something happened since it did.
    fn stops_here(&self, key: &str, own: &[String]) -> bool {
        let asked = if self.is_root() { self.shared.stops(key) } else { Vec::new() };
        let nodes = if asked.is_empty() { own } else { &asked };
        let Checkpoint { versions, seen, .. } = &self.saved.checkpoint;
        let seen = seen.get(INTERRUPT);
        let is_new = versions.iter().any(|(channel, version)| seen.and_then(|seen| seen.get(channel)) < Some(version));
        let is_meant = |task: &Task| task.is_shown() && nodes.iter().any(|node| node == "*" || *node == task.name);
        is_new && self.tasks.iter().any(is_meant)
    }

    pub(super) async fn tell_values(&self) -> Result<()> {
        if self.shared.emitter.wants("values", &self.namespace) {
            self.shared.emitter.emit("values", &self.namespace, &self.state()).await?;
        }
        Ok(())
    }

    /// The last words of a root that stops: what those wrote who came to their end, and that it was told to stop.
    async fn tell_stop(&mut self, outcome: &Result<(), NodeError>) -> Result<(), NodeError> {
        if self.tasks.iter().any(|task| !task.writes.is_empty()) && !self.saved.pending.is_empty() {
            let before = self.saved.checkpoint.clone();
            let tasks = std::mem::take(&mut self.tasks);
            let ended: Vec<_> = tasks.iter().filter(|task| !task.writes.is_empty()).map(Task::applied).collect();
            let updated = self.apply(&ended)?;
            if updated {
                self.tell_values().await?;
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

    async fn tell_checkpoint(&self) -> Result<()> {
        let emitter = &self.shared.emitter;
        let told = emitter.wants("checkpoints", &self.namespace) || emitter.wants("debug", &self.namespace);
        if self.shared.run.temporary || !told {
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
