//! A graph at work: step after step, until nothing is left to do or somebody is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::Graph;
use super::apply::{Applied, apply};
use super::checkpoint::{Checkpoint, Pending, Saved, writes_to_keep};
use super::command::{Command, START};
use super::error::{Cause, NodeError};
use super::plan::{INTERRUPT, NO_TASK, RESUME, Task, Write, index_of};
use super::run::{Shared, is_by_id};
use super::stream::Trace;
use crate::error::Result;
use crate::json::JsonMap;
use crate::model::CheckpointKey;

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
    known: BTreeMap<String, String>,
    kept: Option<String>,
    /// The checkpoint before the present one, kept or not.
    previous: Option<String>,
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

    fn is_root(&self) -> bool {
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

    async fn begin(&mut self, given: Given, resumes: Option<bool>) -> Result<(), NodeError> {
        let stands = !self.saved.checkpoint.versions.is_empty();
        self.resumes = stands && resumes.unwrap_or(!matches!(given, Given::Input(_)));
        let commands = matches!(given, Given::Command(_));
        if let Given::Command(command) = &given {
            self.take_command(command).await?;
        } else if self.is_root() && self.shared.run.attempt > 1 {
            let kept = self.saved.pending.iter().rfind(|p| p.task_id == NO_TASK && p.write.channel == RESUME);
            *self.shared.answer.lock() = kept.map(|pending| pending.write.value.clone());
        }
        if self.replays && !commands {
            self.saved.pending.retain(|pending| pending.write.channel != RESUME);
        }
        let outside =
            self.saved.pending.iter().filter(|p| p.task_id == NO_TASK && index_of(&p.write.channel).is_none());
        let writes: Vec<_> = outside.map(|pending| pending.write.clone()).collect();
        if !writes.is_empty() {
            self.apply(&[Applied { name: "__input__", path: "", triggers: &[], writes: &writes }])?;
        }
        match given {
            _ if self.resumes || (commands && !writes.is_empty()) => {
                let versions = self.saved.checkpoint.versions.clone();
                self.saved.checkpoint.seen.insert(INTERRUPT.to_owned(), versions);
                self.tell_values().await?;
                Ok(())
            }
            Given::Input(input) if !input.is_null() => {
                // What waits for its turn waits no longer.
                let dropped = self.graph.0.next_tasks(&self.saved.checkpoint, &self.namespace, self.step);
                let writes = [Write::new(START, input)];
                let mut applied: Vec<_> = dropped.iter().map(Task::applied).collect();
                applied.push(Applied { name: "__input__", path: "", triggers: &[], writes: &writes });
                self.apply(&applied)?;
                self.saved.pending.clear();
                self.put("input").await?;
                Ok(())
            }
            _ => Err(NodeError::new("EmptyInputError", "Received no input for __start__")),
        }
    }

    /// Takes the answers, the update and the targets of a command.
    async fn take_command(&mut self, command: &JsonMap) -> Result<(), NodeError> {
        let resume = command.get("resume").filter(|resume| !resume.is_null());
        let mut writes = Vec::new();
        if let Some(resume) = resume.filter(|resume| !is_by_id(resume)) {
            if self.open_questions() > 1 {
                let why =
                    "When there are multiple pending interrupts, you must specify the interrupt id when resuming.";
                return Err(NodeError::new("RuntimeError", why));
            }
            *self.shared.answer.lock() = Some(resume.clone());
            writes.push(Write::new(RESUME, resume.clone()));
        }
        let Command { update, goto } = Command::read(command);
        match update {
            Value::Object(update) => writes.extend(self.graph.public_writes(update)?),
            Value::Null => {}
            other => {
                return Err(NodeError::invalid_update(format!("Expected an object as a command's update, got {other}")));
            }
        }
        for target in goto {
            writes.extend(self.graph.arrow(target)?);
        }
        if writes.is_empty() && resume.is_none() {
            return Err(NodeError::new("EmptyInputError", "Received empty Command input"));
        }
        if !writes.is_empty() {
            self.put_writes(NO_TASK, "", &writes).await?;
        }
        Ok(())
    }

    fn open_questions(&self) -> usize {
        let asks = |task: &Task| {
            let own = || self.saved.pending.iter().filter(|pending| pending.task_id == task.id);
            let ended = own().any(|pending| index_of(&pending.write.channel).is_none());
            if ended { 0 } else { own().filter(|pending| pending.write.channel == INTERRUPT).count() }
        };
        let tasks = self.graph.0.next_tasks(&self.saved.checkpoint, &self.namespace, self.step);
        tasks.iter().map(asks).sum()
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
            if updated {
                self.tell_values().await?;
            }
            self.saved.pending.clear();
            recalls = true;
            self.put("loop").await?;
            if self.stops_here("interrupt_after", &self.graph.0.interrupt_after) {
                return Err(NodeError::interrupted(Vec::new()));
            }
            self.resumes = false;
        }
    }

    /// Brings writes into the state; says whether clients see a change.
    fn apply(&mut self, tasks: &[Applied<'_>]) -> Result<bool, NodeError> {
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

    /// Makes the state a checkpoint.
    async fn put(&mut self, source: &str) -> Result<()> {
        self.previous = self.kept_or_made();
        self.saved.checkpoint.renew(self.shared.clock.as_ref());
        self.saved.metadata = self.shared.metadata(source, self.step, &self.parents);
        self.saved.parent_id.clone_from(&self.kept);
        if self.shared.keeps_steps() {
            self.keep().await?;
        }
        self.step += 1;
        Ok(())
    }

    fn kept_or_made(&self) -> Option<String> {
        (!self.saved.metadata.is_empty()).then(|| self.saved.checkpoint.id.clone())
    }

    async fn keep(&mut self) -> Result<()> {
        let new = self.saved.to_keep(&self.shared.place(&self.namespace), &self.known)?;
        self.shared.reach.storage.put_checkpoint(&self.shared.reach.scope, new).await?;
        self.known.clone_from(&self.saved.checkpoint.versions);
        self.kept = Some(self.saved.checkpoint.id.clone());
        Ok(())
    }

    /// Keeps what was not kept on the way.
    async fn keep_end(&mut self) -> Result<()> {
        if self.saved.metadata.is_empty() {
            return Ok(());
        }
        if self.kept.as_ref() != Some(&self.saved.checkpoint.id) {
            self.keep().await?;
        }
        let mut tasks: Vec<(&str, Vec<Write>)> = Vec::new();
        for Pending { task_id, write } in &self.saved.pending {
            match tasks.iter_mut().find(|(held, _)| held == task_id) {
                Some((_, writes)) => writes.push(write.clone()),
                None => tasks.push((task_id, vec![write.clone()])),
            }
        }
        for (task_id, writes) in tasks {
            let path = self.tasks.iter().find(|task| task.id == task_id).map_or("", |task| task.path.as_str());
            self.store_writes(task_id, path, &writes).await?;
        }
        Ok(())
    }

    /// Notes what a task wrote, so that it need not run again should its step not be completed.
    pub(super) async fn put_writes(&mut self, task_id: &str, path: &str, writes: &[Write]) -> Result<()> {
        let replaced = |pending: &Pending| {
            pending.task_id == task_id
                && index_of(&pending.write.channel).is_some()
                && writes.iter().any(|write| write.channel == pending.write.channel)
        };
        self.saved.pending.retain(|pending| !replaced(pending));
        let new = writes.iter().map(|write| Pending { task_id: task_id.to_owned(), write: write.clone() });
        self.saved.pending.extend(new);
        if self.shared.keeps_steps() {
            self.store_writes(task_id, path, writes).await?;
        }
        Ok(())
    }

    async fn store_writes(&self, task_id: &str, path: &str, writes: &[Write]) -> Result<()> {
        let place = self.shared.place(&self.namespace);
        let rows = writes_to_keep(&place, &self.saved.checkpoint.id, task_id, path, writes)?;
        self.shared.reach.storage.put_writes(&self.shared.reach.scope, rows).await
    }

    async fn tell_values(&self) -> Result<()> {
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
