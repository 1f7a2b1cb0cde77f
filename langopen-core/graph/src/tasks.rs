//! Executes one step: all its tasks at once, with the events and writes of each task as soon as it ends.

use std::sync::Arc;

use langopen_core::error::Result;
use langopen_core::json::JsonMap;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::checkpoint::Checkpoint;
use super::command::{Command, START};
use super::context::{NodeContext, TaskLocation};
use super::error::{Cause, Failure, Interrupt, NodeError};
use super::events::Source;
use super::plan::{ERROR, INTERRUPT, NO_WRITES, RESUME, Task, Write, interrupt_id};
use super::run::{Shared, remembered};
use super::steps::{From, Given, Level};
use super::stream::Trace;
use super::{Graph, Node, Work, messages};

/// The outcome of a task, and the answers that it used.
struct Ended {
    at: usize,
    outcome: Result<Vec<Write>, NodeError>,
    answers: Vec<Value>,
}

/// The data that a task needs to run outside of its graph's loop.
struct Job {
    location: TaskLocation,
    state: Arc<Checkpoint>,
    parents: JsonMap,
    resumes: bool,
    /// Where the graph inside the task starts.
    inside: From,
}

impl Level {
    /// Runs the tasks that have not finished yet. If one fails, the others are aborted. If one asks a question, the
    /// others continue.
    pub(super) async fn execute(&mut self) -> Result<(), NodeError> {
        let mut running = JoinSet::new();
        // The tasks by the id of their Tokio task, to identify one that panicked.
        let mut ids = Vec::new();
        let state = Arc::new(self.saved.checkpoint.clone());
        for (at, task) in self.tasks.iter().enumerate().filter(|(_, task)| task.writes.is_empty()) {
            let job = self.job(task, &state);
            let answers = self.answers_of(task);
            let handle = running.spawn(job.run(at, task.clone(), answers).in_current_span());
            ids.push((handle.id(), at));
        }
        let mut asked = Vec::new();
        let mut stopped = false;
        while let Some(joined) = running.join_next().await {
            let Ended { at, outcome, answers } = joined.unwrap_or_else(|error| {
                let at = ids.iter().find(|(id, _)| *id == error.id()).map_or(0, |(_, at)| *at);
                let outcome = Err(NodeError::masked("Panic", error.to_string()));
                Ended { at, outcome, answers: Vec::new() }
            });
            match outcome {
                Ok(writes) => self.finished(at, writes).await?,
                Err(NodeError(Cause::Interrupted(interrupts))) => {
                    stopped = true;
                    if !interrupts.is_empty() {
                        self.interrupted(at, &interrupts, answers).await?;
                        asked.extend(interrupts);
                    }
                }
                Err(NodeError(Cause::Failed(failure))) => {
                    running.abort_all();
                    if !failure.retryable {
                        self.failed(at, &failure).await?;
                    }
                    return Err(NodeError(Cause::Failed(failure)));
                }
            }
        }
        if stopped { Err(NodeError::interrupted(asked)) } else { Ok(()) }
    }

    fn job(&self, task: &Task, state: &Arc<Checkpoint>) -> Job {
        let location = TaskLocation {
            shared: Arc::clone(&self.shared),
            graph: self.graph.clone(),
            outer: self.namespace.clone(),
            namespace: task.namespace(&self.namespace),
            step: self.step,
        };
        let mut parents = self.parents.clone();
        parents.insert(self.namespace.clone(), self.saved.checkpoint.id.as_str().into());
        let inside = if self.resumes && !self.replays { From::Newest } else { From::Nothing };
        Job { location, state: Arc::clone(state), parents, resumes: self.resumes, inside }
    }

    /// The answers that a task received earlier, and the one for its current question.
    fn answers_of(&self, task: &Task) -> Vec<Value> {
        let stored = self.saved.pending.iter().rfind(|p| p.task_id == task.id && p.write.channel == RESUME);
        let mut answers = stored.and_then(|pending| pending.write.value.as_array().cloned()).unwrap_or_default();
        answers.extend(self.shared.answers.get(&interrupt_id(&task.namespace(&self.namespace))).cloned());
        answers
    }

    async fn finished(&mut self, at: usize, mut writes: Vec<Write>) -> Result<()> {
        if writes.is_empty() {
            writes.push(Write::new(NO_WRITES, Value::Null));
        }
        self.tasks[at].writes.clone_from(&writes);
        let task = self.tasks[at].clone();
        // Sent before it is stored: a reader that sees the write in the state has already received its event.
        self.send_update(&task).await?;
        self.send_result(&task, self.result_of(&writes), &[], None).await?;
        self.put_writes(&task.id, &task.path, &writes).await
    }

    async fn interrupted(&mut self, at: usize, interrupts: &[Interrupt], answers: Vec<Value>) -> Result<()> {
        let task = self.tasks[at].clone();
        let shown = interrupts.iter().map(Interrupt::shown).collect();
        let mut writes = vec![Write::new(INTERRUPT, Value::Array(shown))];
        if !answers.is_empty() {
            writes.push(Write::new(RESUME, Value::Array(answers)));
        }
        let events: Vec<_> = interrupts.iter().map(Interrupt::event).collect();
        let emitter = &self.shared.emitter;
        emitter.emit("updates", &self.namespace, &json!({ INTERRUPT: events })).await?;
        let mut state = self.state();
        state.insert(INTERRUPT.to_owned(), Value::Array(events.clone()));
        emitter.emit("values", &self.namespace, &state).await?;
        self.send_result(&task, json!({}), &events, None).await?;
        self.put_writes(&task.id, &task.path, &writes).await
    }

    async fn failed(&mut self, at: usize, failure: &Failure) -> Result<()> {
        let task = self.tasks[at].clone();
        let error = failure.shown();
        self.put_writes(&task.id, &task.path, &[Write::new(ERROR, error.clone())]).await?;
        self.send_result(&task, json!({}), &[], Some(error)).await
    }

    pub(super) async fn send_tasks(&self) -> Result<()> {
        for task in self.tasks.iter().filter(|task| task.is_shown()) {
            let record = json!({
                "id": task.id, "name": task.name, "input": task.input, "triggers": task.triggers,
                "metadata": remembered(&self.shared.config),
            });
            let at = (self.step, self.shared.clock.as_ref());
            self.shared.emitter.trace(Trace::Task, &self.namespace, at, record).await?;
        }
        for task in self.tasks.iter().filter(|task| !task.writes.is_empty()) {
            self.send_update(task).await?;
        }
        Ok(())
    }

    async fn send_update(&self, task: &Task) -> Result<()> {
        if !task.is_shown() || !self.shared.emitter.wants("updates", &self.namespace) {
            return Ok(());
        }
        let update = self.result_of(&task.writes);
        let update = if update == json!({}) { Value::Null } else { update };
        self.shared.emitter.emit("updates", &self.namespace, &json!({ &task.name: update })).await
    }

    async fn send_result(&self, task: &Task, result: Value, interrupts: &[Value], error: Option<Value>) -> Result<()> {
        if !task.is_shown() {
            return Ok(());
        }
        let record =
            json!({"id": task.id, "name": task.name, "error": error, "result": result, "interrupts": interrupts});
        let at = (self.step, self.shared.clock.as_ref());
        self.shared.emitter.trace(Trace::TaskResult, &self.namespace, at, record).await
    }

    fn result_of(&self, writes: &[Write]) -> Value {
        self.graph.result_of(writes)
    }
}

impl Graph {
    /// The writes of a task that clients see.
    pub(super) fn result_of(&self, writes: &[Write]) -> Value {
        let public = writes.iter().filter(|write| self.0.is_public(&write.channel));
        Value::Object(public.map(|write| (write.channel.clone(), write.value.clone())).collect())
    }
}

impl Job {
    async fn run(self, at: usize, task: Task, answers: Vec<Value>) -> Ended {
        let context = NodeContext::new(self.location.clone(), &task, answers);
        let outcome = self.writes(&task, &context).await;
        Ended { at, outcome, answers: context.answers() }
    }

    async fn writes(self, task: &Task, context: &NodeContext) -> Result<Vec<Write>, NodeError> {
        let graph = self.location.graph.clone();
        if task.name == START {
            let input = match &task.input {
                input @ Value::Object(_) => input.clone(),
                other => {
                    return Err(NodeError::invalid_update(format!("Expected an object as the input, got {other}")));
                }
            };
            return graph.writes(START, &self.state, Command::from(input));
        }
        let Some(node) = graph.0.node(&task.name) else {
            return Err(NodeError::invalid_update(format!("node {:?} is no longer in the graph", task.name)));
        };
        let location = self.location.clone();
        let messages = Messages { location: &location };
        messages.know(&task.input);
        let parents = [location.shared.run.run_id.to_string()];
        let parents = [parents[0].as_str()];
        let metadata =
            if location.shared.emitter.wants("events", "") { context.message_metadata() } else { Value::Null };
        let source = Source { name: &task.name, run_id: &task.id, parents: &parents, metadata: &metadata };
        let emitter = &location.shared.emitter;
        emitter.event("on_chain_start", &source, json!({"input": task.input})).await?;
        let state = Arc::clone(&self.state);
        let mut command = self.command(node, task, context).await?;
        if let Value::Object(update) = command.update {
            command.update = Value::Object(messages.complete(update, context).await?);
        }
        if emitter.wants("events", "") {
            emitter.event("on_chain_stream", &source, json!({"chunk": command.update})).await?;
            let data = json!({"output": command.update, "input": task.input});
            emitter.event("on_chain_end", &source, data).await?;
        }
        graph.writes(&task.name, &state, command)
    }

    async fn command(self, node: &Node, task: &Task, context: &NodeContext) -> Result<Command, NodeError> {
        match &node.work {
            Work::Function(function) => function(context.clone()).await,
            Work::Subgraph(inside) => {
                let Self { location: TaskLocation { shared, namespace, .. }, parents, resumes, inside: from, .. } =
                    self;
                let mut level = Level::open(&shared, inside, namespace, parents, from).await?;
                Ok(level.run_inside(Given::Input(task.input.clone()), resumes).await?.into())
            }
        }
    }
}

/// The messages in a node's input and output.
struct Messages<'a> {
    location: &'a TaskLocation,
}

impl Messages<'_> {
    fn channels(&self) -> impl Iterator<Item = &String> {
        let channels = self.location.graph.0.channels.iter();
        channels.filter(|(_, kind)| matches!(kind, super::channel::Kind::Messages)).map(|(name, _)| name)
    }

    /// Marks the messages of a node's input as known, so that they are not sent as new.
    fn know(&self, input: &Value) {
        if self.location.shared.emitter.wants_messages(&self.location.outer) {
            let held = self.channels().filter_map(|channel| input.get(channel)?.as_array());
            self.location.shared.emitter.know(held.flatten());
        }
    }

    /// Completes the messages of an update, and sends those that were not streamed.
    async fn complete(&self, mut update: JsonMap, context: &NodeContext) -> Result<JsonMap, NodeError> {
        let channels: Vec<_> = self.channels().cloned().collect();
        for channel in channels {
            let Some(written) = update.get_mut(&channel) else { continue };
            let list = messages::list(written.take())?;
            if self.location.shared.emitter.wants_messages(&self.location.outer) {
                let metadata = context.message_metadata();
                for message in &list {
                    self.location.shared.emitter.message(&self.location.outer, message, &metadata).await?;
                }
            }
            *written = Value::Array(list);
        }
        Ok(update)
    }
}

impl Shared {
    /// Sends the start or end of the graph, in the mode `events`.
    pub(super) async fn send_graph_event(&self, graph: &Graph, event: &str, data: Value) -> Result<()> {
        let run_id = self.run.run_id.to_string();
        let source = Source { name: graph.name(), run_id: &run_id, parents: &[], metadata: &self.config["metadata"] };
        self.emitter.event(event, &source, data).await
    }
}
