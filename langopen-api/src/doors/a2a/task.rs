//! Builds tasks as clients see them.

use bytes::Bytes;
use langopen_core::model::{Run, Thread, ThreadStatus};
use langopen_core::{AssistantId, RawJson, Result, RunStatus, Scope};
use uuid::Uuid;

use super::chain::Chain;
use super::dialect::{Dialect, Role, State};
use super::ending::{Ending, Question, open};
use super::history::{Segment, all, given_to, messages_of, structured_response};
use super::request::Show;
use super::shapes::{Artifact, Message, Part, Status, Task};
use super::task_id::{TaskId, is_given_up};
use crate::agent::App;

/// The name of the artifact with the agent's answer.
const RESPONSE: &str = "Assistant Response";

/// A snapshot of a task.
pub(super) struct Picture {
    pub(super) state: State,
    pub(super) status: Status,
    pub(super) artifact: Option<Artifact>,
    segment: Segment,
    task: TaskId,
}

impl Picture {
    /// The task whose last run ended with `ending`; `thread` is its thread's row.
    pub(super) fn of(dialect: Dialect, chain: &Chain, ending: Ending, thread: Option<&Thread>) -> Self {
        let (run, task) = (chain.run(), chain.task);
        let kept = || thread.and_then(|thread| messages_of(thread.values.as_ref()?));
        let messages = ending.values.as_ref().and_then(messages_of);
        let speaks = messages.is_some();
        let segment = Segment::of(messages.or_else(kept).unwrap_or_default(), chain.given(), &chain.later);
        let state = state(run, !ending.interrupts.is_empty() || chain.newest && thread.is_some_and(stops));
        let (message, parts) = match state {
            State::InputRequired => {
                let parts: Vec<_> = ending.interrupts.iter().map(|question| question.part(dialect)).collect();
                let asked = ending.interrupts.iter().map(|question| question.words(dialect)).collect();
                let asked = if parts.is_empty() {
                    vec![dialect.text("The agent waits for a message to continue")]
                } else {
                    asked
                };
                (Some(asked), Some(parts).filter(|parts| !parts.is_empty()))
            }
            State::Failed => {
                let said = ending.error.as_ref().map(|error| format!("{}: {}", error.error, error.message));
                let said = said.unwrap_or_else(|| format!("The run ended with status {}", run.status.as_str()));
                (Some(vec![dialect.text(said)]), None)
            }
            State::Completed if speaks => (None, answer(dialect, &segment, &ending)),
            // A graph without messages answers with its state.
            State::Completed if ending.exact => (None, ending.values.map(|values| vec![dialect.data(values)])),
            _ => (None, None),
        };
        let message = message.map(|parts| agent_message(dialect, run, task, None, parts));
        let artifact = parts.map(|parts| match state {
            State::InputRequired => Artifact {
                artifact_id: derived(run, "interrupt"),
                name: "Interrupt",
                description: "Agent requires input to continue".to_owned(),
                parts,
            },
            _ => response(run, run.assistant_id, parts),
        });
        let status = Status { state: state.name(dialect), timestamp: run.updated_at, message };
        Self { state, status, artifact, segment, task }
    }

    /// The task in the form that `show` describes.
    pub(super) fn task(self, show: &Show) -> Task {
        let history = (show.history > 0).then(|| self.segment.history(show, self.task));
        Task {
            kind: show.dialect.kind("task"),
            id: self.task.to_string(),
            context_id: self.task.thread_id.to_string(),
            status: self.status,
            artifacts: Some(self.artifact.into_iter().collect()),
            history,
        }
    }
}

/// The agent's last message, and its structured answer if it has a response format.
fn answer(dialect: Dialect, segment: &Segment, ending: &Ending) -> Option<Vec<Part>> {
    let structured = ending.values.as_ref().filter(|_| ending.exact).and_then(structured_response);
    let said = segment.answer(dialect, ending.exact).into_iter().flatten();
    let parts: Vec<_> = said.chain(structured.map(|data| dialect.data(data))).collect();
    Some(parts).filter(|parts| !parts.is_empty())
}

/// The snapshot of a task whose last run has ended with `body`. Reads the task's rows.
pub(super) async fn ended(
    app: &App,
    rows: &Scope,
    dialect: Dialect,
    chain: &mut Chain,
    body: &Bytes,
) -> Result<Picture> {
    let thread_id = chain.task.thread_id;
    chain.update(app.storage.run(rows, thread_id, chain.run().run_id).await?);
    let thread = app.storage.thread(rows, thread_id).await?;
    Ok(Picture::of(dialect, chain, Ending::of_body(body), thread.as_ref()))
}

/// The snapshot of a task from its rows.
pub(super) async fn stored(app: &App, rows: &Scope, dialect: Dialect, chain: &Chain) -> Result<Picture> {
    let thread = app.storage.thread(rows, chain.task.thread_id).await?;
    Ok(shown(dialect, chain, thread.as_ref()))
}

/// A task that a message has just begun or continued.
pub(super) fn begun(show: &Show, chain: &Chain) -> Task {
    let (run, task) = (chain.run(), chain.task);
    let given = given_to(run);
    Task {
        kind: show.dialect.kind("task"),
        id: task.to_string(),
        context_id: task.thread_id.to_string(),
        status: Status { state: state(run, false).name(show.dialect), timestamp: run.updated_at, message: None },
        artifacts: None,
        history: (show.history > 0).then(|| all(show, &given, task)),
    }
}

/// The snapshot of a task from its thread's row.
pub(super) fn shown(dialect: Dialect, chain: &Chain, thread: Option<&Thread>) -> Picture {
    let ending = match thread {
        Some(thread) if chain.newest && chain.run().status.is_terminal() => Ending::of_thread(thread),
        Some(thread) => Ending::outlived(thread),
        None => Ending::default(),
    };
    Picture::of(dialect, chain, ending, thread)
}

/// The state of a task whose last run is `run`; `waits` is whether the graph waits for an answer.
pub(super) fn state(run: &Run, waits: bool) -> State {
    match run.status {
        RunStatus::Pending => State::Submitted,
        RunStatus::Running => State::Working,
        RunStatus::Success if is_given_up(run) => State::Canceled,
        RunStatus::Success if waits => State::InputRequired,
        RunStatus::Success => State::Completed,
        RunStatus::Error | RunStatus::Timeout => State::Failed,
        RunStatus::Interrupted => State::Canceled,
    }
}

/// Whether the thread's graph stopped at a breakpoint and has no open question.
fn stops(thread: &Thread) -> bool {
    thread.status == ThreadStatus::Interrupted && open(thread).is_empty()
}

/// The artifact with an agent's answer.
pub(super) fn response(run: &Run, agent: AssistantId, parts: Vec<Part>) -> Artifact {
    let description = format!("Response from assistant {agent}");
    Artifact { artifact_id: derived(run, "response"), name: RESPONSE, description, parts }
}

/// A message of the agent beside its answer; `id` is the chat message's id, if it comes from one.
pub(super) fn agent_message(
    dialect: Dialect,
    run: &Run,
    task: TaskId,
    id: Option<String>,
    parts: Vec<Part>,
) -> Message {
    dialect.message(Role::Agent, id.unwrap_or_else(|| derived(run, "status")), parts).of(task)
}

/// An id that is the same at every read of the run.
fn derived(run: &Run, what: &str) -> String {
    Uuid::new_v5(&run.run_id.0, what.as_bytes()).to_string()
}

impl Question {
    fn part(&self, dialect: Dialect) -> Part {
        dialect.data(RawJson::of(self).unwrap_or_default())
    }

    /// The question as text, if its value is a string.
    fn words(&self, dialect: Dialect) -> Part {
        match self.value.decode::<String>() {
            Ok(words) => dialect.text(words),
            Err(_) => self.part(dialect),
        }
    }
}
