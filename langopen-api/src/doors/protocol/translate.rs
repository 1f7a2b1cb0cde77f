//! Translates a thread's log to events of the protocol.
//!
//! Graph hosts emit most events of the protocol's own runs in its shapes, under names with the prefix [`NATIVE`]. The
//! translator converts the events of other runs. A reader that starts at the beginning of the log always gets the same
//! events, ids and numbers.

use std::collections::HashMap;

use bytes::Bytes;
use langopen_core::event_log::{Event, NATIVE, NEVER_BEGUN};
use langopen_core::model::Run;
use langopen_core::{Result, RunId, RunStatus};
use serde::Deserialize;
use serde_json::json;

use super::event::{Body, Method, Namespace};
use super::filter::Methods;
use super::messages::OpenMessages;
use super::out::Out;
use super::rows::{Facts, Rows};
use super::shapes::{self, Interrupt};
use super::tree::{Status, Tree};

/// The state of one run's translation.
#[derive(Default)]
struct RunState {
    facts: Facts,
    /// Whether its graph host emits the protocol's shapes. Such a host does so from its first event on.
    native: bool,
    messages: OpenMessages,
    error: Option<String>,
    /// Whether its graph host reported an interrupt.
    waits: bool,
    asked: Vec<(Namespace, Interrupt)>,
    /// Running subgraphs, if the graph host does not report their ends.
    open: Vec<Namespace>,
    /// Whether its row is terminal although its log has no end.
    over: bool,
}

impl RunState {
    fn ask(&mut self, namespace: &Namespace, raised: Vec<Interrupt>) {
        for interrupt in raised {
            // The graphs above a subgraph repeat its interrupts.
            if !self.asked.iter().any(|(_, asked)| asked.id == interrupt.id) {
                self.asked.push((namespace.clone(), interrupt));
            }
        }
    }

    /// Ends the messages that cannot grow after an event of this kind.
    fn end_messages(&mut self, kind: &str, namespace: &Namespace, data: &[u8], out: &mut Out) {
        if self.messages.is_empty() {
            return;
        }
        match kind {
            "values" => self.messages.end(namespace, |_| true).push(out),
            "updates" => {
                let nodes = shapes::nodes(data);
                self.messages.end(namespace, |node| nodes.iter().any(|each| each == node)).push(out);
            }
            "error" => self.messages.end_all().push(out),
            _ => {}
        }
    }

    /// Emits a graph's lifecycle as its host reported it.
    fn lifecycle(&mut self, tree: &mut Tree, namespace: &Namespace, data: Bytes, out: &mut Out) {
        let (status, name) = shapes::lifecycle(&data).unwrap_or_default();
        let status = Status::parse(&status);
        if namespace.is_root() {
            // The end of the root graph is emitted once its row is terminal, so that a client can act on it.
            self.waits = status == Some(Status::Interrupted);
            return;
        }
        status.into_iter().for_each(|status| tree.set(namespace, status, name.as_deref()));
        out.push(Method::Lifecycle, namespace, Body::Members(data));
    }
}

/// Translates one thread's log, from its beginning or from now on.
#[derive(Default)]
pub(super) struct Translator {
    /// The number of the last event.
    pub(super) last: u64,
    runs: HashMap<RunId, RunState>,
    pub(super) tree: Tree,
}

impl Translator {
    /// Translates an event of the log. It may leave out events of methods that are not `wanted`.
    pub(super) async fn translate(&mut self, event: Event, rows: &Rows, wanted: Methods, out: &mut Out) {
        out.begin(event.id, self.last);
        match event.run_id {
            Some(run_id) => self.translate_of_run(run_id, event, rows, wanted, out).await,
            None => {
                if let Some(run_id) = ended(&event) {
                    self.end(run_id, rows, out).await;
                }
            }
        }
        self.last = out.last;
    }

    async fn translate_of_run(&mut self, run_id: RunId, event: Event, rows: &Rows, wanted: Methods, out: &mut Out) {
        if &*event.name == NEVER_BEGUN {
            return;
        }
        let (base, namespace) = Namespace::split(&event.name);
        if !self.runs.contains_key(&run_id) {
            self.begin(run_id, rows, out).await;
        }
        let Some(run) = self.runs.get_mut(&run_id) else { return };
        run.native |= base.starts_with(NATIVE);
        if !run.native {
            open(run, &mut self.tree, &namespace, out);
        }
        run.end_messages(base, &namespace, &event.data, out);
        let raw = |method| wanted.has(method).then(|| Body::Data(event.data.clone()));
        match base {
            "messages" => run.messages.take_pair(&namespace, &event.data).push(out),
            "messages/partial" | "messages/complete" => {
                run.messages.take(&event.data, base == "messages/complete").push(out);
            }
            "error" => run.error = Some(shapes::message(&event.data)),
            "values" => {
                let (body, raised) = shapes::values(event.data);
                // The values that come with an interrupt repeat those before it.
                let body = body.filter(|_| raised.is_empty());
                run.ask(&namespace, raised);
                body.into_iter().for_each(|body| out.push(Method::Values, &namespace, body));
            }
            "updates" if wanted.has(Method::Updates) || !run.facts.values => {
                let (bodies, raised) = shapes::updates(&event.data);
                if !run.facts.values {
                    run.ask(&namespace, raised);
                }
                bodies.into_iter().for_each(|body| out.push(Method::Updates, &namespace, body));
            }
            "custom" if wanted.has(Method::Custom) => {
                let name = shapes::custom_name(&event.data);
                out.push_named(&namespace, name, Body::Data(event.data));
            }
            "checkpoints" if wanted.has(Method::Checkpoints) => {
                let body = shapes::checkpoint(&event.data);
                body.into_iter().for_each(|body| out.push(Method::Checkpoints, &namespace, body));
            }
            "tasks" => raw(Method::Tasks).into_iter().for_each(|body| out.push(Method::Tasks, &namespace, body)),
            "tools" => raw(Method::Tools).into_iter().for_each(|body| out.push(Method::Tools, &namespace, body)),
            _ => match base.strip_prefix(NATIVE).and_then(Method::parse) {
                Some(Method::Lifecycle) => run.lifecycle(&mut self.tree, &namespace, event.data, out),
                Some(method) if wanted.has(method) => out.push(method, &namespace, Body::Members(event.data)),
                _ => {}
            },
        }
    }

    /// Emits the first events of a run.
    async fn begin(&mut self, run_id: RunId, rows: &Rows, out: &mut Out) {
        let facts = Facts::of(rows.run(run_id).await.ok().flatten().as_ref());
        self.tree.begin(&facts.graph_name);
        out.lifecycle(run_id, Status::Running, &facts.graph_name, None);
        if !facts.answers.is_empty() {
            let id = format!("synth:{run_id}:answered");
            let data = json!({"interrupt_ids": facts.answers});
            out.push_as(id, Method::InputAnswered, &Namespace::default(), Body::of(&data));
        }
        self.runs.insert(run_id, RunState { facts, ..RunState::default() });
    }

    /// Emits the last events of a run whose row is terminal.
    async fn end(&mut self, run_id: RunId, rows: &Rows, out: &mut Out) {
        let row = rows.run(run_id).await;
        let mut run = self.runs.remove(&run_id).unwrap_or_else(|| {
            let facts = Facts::of(row.as_ref().ok().and_then(Option::as_ref));
            self.tree.begin(&facts.graph_name);
            RunState { facts, ..RunState::default() }
        });
        run.messages.end_all().push(out);
        let (status, error) = outcome(row, &run);
        if status == Status::Interrupted {
            for (namespace, interrupt) in &run.asked {
                let id = format!("synth:{run_id}:input|{}|{}", namespace.joined(), interrupt.id);
                out.push_as(id, Method::InputRequested, namespace, shapes::request(interrupt));
            }
        }
        for namespace in run.open.iter().rev() {
            self.tree.set(namespace, status, None);
            let name = namespace.last().map(|(name, _)| name).unwrap_or_default();
            out.push(Method::Lifecycle, namespace, Body::of(&json!({"event": status, "graph_name": name})));
        }
        self.tree.set(&Namespace::default(), status, None);
        out.lifecycle(run_id, status, &run.facts.graph_name, error);
    }

    /// Ends runs whose rows are terminal now and were at the last call: the log lost their ends.
    pub(super) async fn settle(&mut self, rows: &Rows, out: &mut Out) {
        let known: Vec<_> = self.runs.keys().copied().collect();
        for run_id in known {
            let Ok(row) = rows.run(run_id).await else { continue };
            let over = row.is_none_or(|run| run.status.is_terminal());
            let again = self.runs.get_mut(&run_id).is_some_and(|run| std::mem::replace(&mut run.over, over));
            if over && again {
                out.resume(self.last);
                self.end(run_id, rows, out).await;
                self.last = out.last;
            }
        }
    }
}

/// The run that this event of the thread reports as ended.
pub(super) fn ended(event: &Event) -> Option<RunId> {
    #[derive(Deserialize)]
    struct Done {
        status: String,
        run_id: RunId,
    }
    if &*event.name != "metadata" {
        return None;
    }
    let done: Done = serde_json::from_slice(&event.data).ok()?;
    (done.status == "run_done").then_some(done.run_id)
}

/// Emits `started` for subgraphs that appear for the first time.
fn open(run: &mut RunState, tree: &mut Tree, namespace: &Namespace, out: &mut Out) {
    for depth in 1..=namespace.0.len() {
        let above = Namespace(namespace.0[..depth].to_vec());
        if run.open.contains(&above) {
            continue;
        }
        let (name, task) = above.last().unwrap_or_default();
        let data = json!({"event": "started", "namespace": above.0, "graph_name": name, "trigger_call_id": task});
        tree.set(&above, Status::Started, None);
        out.push(Method::Lifecycle, &above, Body::of(&data));
        run.open.push(above);
    }
}

/// The outcome of a run, from its row, or from its events if the row cannot be read.
fn outcome(row: Result<Option<Run>>, run: &RunState) -> (Status, Option<String>) {
    let failed = |why: &str| (Status::Failed, Some(run.error.clone().unwrap_or_else(|| why.to_owned())));
    match row.map(|row| row.map(|row| row.status)) {
        Ok(Some(RunStatus::Error)) => failed("the run failed"),
        Ok(Some(RunStatus::Timeout)) => failed("the run took too long"),
        Ok(Some(RunStatus::Interrupted)) => failed("the run was cancelled"),
        Ok(None) => failed("the run was rolled back or deleted"),
        Ok(Some(RunStatus::Success | RunStatus::Pending | RunStatus::Running)) | Err(_) => match &run.error {
            Some(error) => (Status::Failed, Some(error.clone())),
            None if run.waits || !run.asked.is_empty() => (Status::Interrupted, None),
            None => (Status::Completed, None),
        },
    }
}
