//! The messages of a task, as a part of its thread's messages.

use std::collections::HashSet;

use langopen_core::RawJson;
use langopen_core::model::Run;
use serde::Deserialize;
use serde_json::Value;

use super::content::parts;
use super::dialect::{Dialect, Role};
use super::request::{HistoryScope, Show};
use super::shapes::{Message, Part};
use super::task_id::TaskId;
use super::tools::{Calls, Turn};

/// The messages in the values of a state; `None` if it has none.
pub(super) fn messages_of(values: &RawJson) -> Option<Vec<Value>> {
    #[derive(Deserialize)]
    struct Values {
        messages: Option<Value>,
    }
    match values.decode::<Values>().ok()?.messages? {
        Value::Array(messages) => Some(messages),
        _ => None,
    }
}

/// The structured answer of an agent with a response format. LangChain's agents write it under this key.
pub(super) fn structured_response(values: &RawJson) -> Option<RawJson> {
    #[derive(Deserialize)]
    struct Values {
        structured_response: Option<RawJson>,
    }
    values.decode::<Values>().ok()?.structured_response
}

/// A run's input messages.
pub(super) fn given_to(run: &Run) -> Vec<Value> {
    #[derive(Deserialize)]
    struct Kwargs {
        input: Option<RawJson>,
    }
    let kwargs: Option<Kwargs> = run.kwargs.decode().ok();
    kwargs.and_then(|kwargs| messages_of(&kwargs.input?)).unwrap_or_default()
}

/// The ids of messages.
pub(super) fn ids(messages: &[Value]) -> impl Iterator<Item = String> + '_ {
    messages.iter().filter_map(|message| message["id"].as_str().map(str::to_owned))
}

/// A thread's messages up to the end of a task. The task's own part begins with its runs' input and ends before the
/// input of later runs.
pub(super) struct Segment {
    messages: Vec<Value>,
    /// The index of the task's first message.
    start: usize,
}

impl Segment {
    /// `own` are the task's input messages, `later` the ids of the input messages of the thread's later runs.
    pub(super) fn of(mut messages: Vec<Value>, own: Vec<Value>, later: &HashSet<String>) -> Self {
        let known: HashSet<_> = ids(&own).collect();
        let is_in = |ids: &HashSet<String>, message: &Value| message["id"].as_str().is_some_and(|id| ids.contains(id));
        let found = messages.iter().position(|message| is_in(&known, message));
        let rest = found.map_or(0, |at| at + 1);
        if let Some(end) = messages[rest..].iter().position(|message| is_in(later, message)) {
            messages.truncate(rest + end);
        }
        let start = match found {
            Some(at) => at,
            // Without ids, nothing distinguishes the task's messages from earlier ones.
            None if known.is_empty() => 0,
            // The state does not hold the input yet.
            None => {
                let end = messages.len();
                messages.extend(own);
                end
            }
        };
        Self { messages, start }
    }

    /// The last messages, as `show` wants them.
    pub(super) fn history(&self, show: &Show, task: TaskId) -> Vec<Message> {
        let from = match show.scope {
            HistoryScope::Context => 0,
            HistoryScope::Task => self.start,
        };
        let mut calls = Calls::default();
        let said = self.messages.iter().enumerate();
        let told = said.map(|(at, message)| shown(show, message, (task, at), &mut calls));
        let mut history: Vec<_> = told.skip(from).flatten().collect();
        history.drain(..history.len().saturating_sub(show.history));
        history
    }

    /// The agent's last message within the task. With `anywhere`, the search includes earlier messages, because a graph
    /// may overwrite an earlier message with its answer.
    pub(super) fn answer(&self, dialect: Dialect, anywhere: bool) -> Option<Vec<Part>> {
        let from = if anywhere { 0 } else { self.start };
        let said = self.messages[from..].iter().rev().filter(|message| role(message) == Some(Role::Agent));
        said.map(|message| parts(dialect, message.get("content"))).find(|parts| !parts.is_empty())
    }
}

/// The sender of a chat message; `None` for messages of other kinds, e.g. system messages.
fn role(message: &Value) -> Option<Role> {
    match message["type"].as_str().or_else(|| message["role"].as_str())? {
        "human" | "HumanMessageChunk" | "user" => Some(Role::User),
        "ai" | "AIMessageChunk" | "assistant" => Some(Role::Agent),
        _ => None,
    }
}

/// The message at an index as the history shows it. A tool's answer becomes an agent's message with a data part.
fn shown(show: &Show, message: &Value, (task, at): (TaskId, usize), calls: &mut Calls) -> Option<Message> {
    let (dialect, turn) = (show.dialect, Turn::deserialize(message).ok());
    if let Some(turn) = &turn {
        calls.note(turn);
    }
    let answer = turn.and_then(|turn| calls.answer(&turn, &show.tools));
    let (role, parts) = match answer {
        Some(answer) => (Role::Agent, vec![dialect.data(answer)]),
        None => (role(message)?, parts(dialect, message.get("content"))),
    };
    if parts.is_empty() {
        return None;
    }
    let id = message["id"].as_str().map_or_else(|| format!("{}-{at}", task.run_id), str::to_owned);
    Some(dialect.message(role, id, parts).of(task))
}

/// A task's input messages as the history shows them.
pub(super) fn all(show: &Show, messages: &[Value], task: TaskId) -> Vec<Message> {
    let mut calls = Calls::default();
    let said = messages.iter().enumerate();
    said.filter_map(|(at, message)| shown(show, message, (task, at), &mut calls)).collect()
}

impl Message {
    /// The same message with the ids of a task.
    pub(super) fn of(self, task: TaskId) -> Self {
        Self { task_id: task.to_string(), context_id: task.thread_id.to_string(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use langopen_core::{RunId, ThreadId};
    use serde_json::json;
    use uuid::Uuid;

    const TASK: TaskId = TaskId { thread_id: ThreadId(Uuid::nil()), run_id: RunId(Uuid::nil()) };

    fn said(kind: &str, id: &str) -> Value {
        json!({"type": kind, "id": id, "content": format!("text of {id}")})
    }

    fn shown(own: &[&str], later: &[&str], scope: HistoryScope, history: usize) -> (Vec<String>, Option<String>) {
        let tool = json!({"type": "tool", "id": "t", "content": "42", "tool_call_id": "x"});
        let calls = json!({"type": "ai", "id": "c", "content": "", "tool_calls": [{"id": "x", "name": "add"}]});
        let messages = vec![
            said("human", "1"),
            said("ai", "2"),
            said("human", "3"),
            calls,
            tool,
            said("ai", "4"),
            said("human", "5"),
        ];
        let own = own.iter().map(|id| said("human", id)).collect();
        let segment = Segment::of(messages, own, &later.iter().map(|id| (*id).to_owned()).collect());
        let show = Show { dialect: Dialect::V1, scope, history, tools: Some(["other".to_owned()].into()) };
        let ids = segment.history(&show, TASK).into_iter().map(|message| message.message_id).collect();
        (ids, segment.answer(Dialect::V1, false).and_then(|parts| parts[0].text.clone()))
    }

    #[test]
    fn a_task_has_its_part_of_the_context() {
        use HistoryScope::{Context, Task};
        let answer = |id: &str| Some(format!("text of {id}"));
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(shown(&["1"], &["3", "5"], Task, 10), (ids(&["1", "2"]), answer("2")));
        assert_eq!(shown(&["3"], &["5"], Context, 10), (ids(&["1", "2", "3", "4"]), answer("4")));
        assert_eq!(shown(&["3"], &["5"], Task, 10), (ids(&["3", "4"]), answer("4")));
        assert_eq!(shown(&["3"], &["5"], Context, 1), (ids(&["4"]), answer("4")));
        assert_eq!(shown(&["3"], &["5"], Context, 0), (ids(&[]), answer("4")));
        assert_eq!(shown(&["6"], &[], Task, 10), (ids(&["6"]), None), "not in the state yet");
        assert_eq!(shown(&[], &[], Task, 10).0.len(), 5, "nothing distinguishes them from earlier ones");
    }
}
