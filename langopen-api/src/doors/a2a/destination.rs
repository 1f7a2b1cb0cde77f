//! Finds the task or context that a message is for.

use langopen_core::auth::{Action, Resource};
use langopen_core::model::{Thread, ThreadStatus};
use langopen_core::{RawJson, Scope, ThreadId};
use rmcp::model::ErrorData;
use serde_json::json;

use super::chain::Chain;
use super::dialect::State;
use super::message::Said;
use super::request::Request;
use super::task_id::{TaskId, is_given_up};
use super::{ending, error, get, input, task};
use crate::doors::json_rpc::{failed, invalid};

/// The destination of a message.
pub(super) enum Destination {
    /// An existing or new context, in which the message begins a task.
    Context(ThreadId),
    /// A task that waits for an answer, and the command that answers it.
    Answer(Chain, RawJson),
    /// A pending or running task.
    Task(Chain),
}

/// Finds a message's destination. Also returns the content for the run's input; an answer has none.
pub(super) async fn find_destination(
    request: &Request,
    (task_id, context_id): (Option<String>, Option<String>),
    said: Said,
    command: Option<RawJson>,
) -> Result<(Destination, Option<Said>), ErrorData> {
    let given = |id: Option<String>| id.filter(|id| !id.is_empty());
    let thread_id: Option<ThreadId> = match given(context_id) {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| invalid("Invalid context ID: must be a UUID"))?),
    };
    let demanded = command.is_some();
    let command = input::command_of(command, &said)?;
    let Some(task_id) = given(task_id) else {
        // An answer may give the context's id without the task's.
        if let (Some(thread_id), Some(command)) = (thread_id, &command)
            && let Some(chain) = waiting(request, thread_id).await?
        {
            return Ok((Destination::Answer(chain, command.clone()), None));
        }
        if demanded {
            return Err(error::unsupported("No task of the context waits for an answer"));
        }
        let new = || ThreadId(request.app.ids.ordered());
        return Ok((Destination::Context(thread_id.unwrap_or_else(new)), Some(said)));
    };
    let task: TaskId = task_id.parse().map_err(|()| error::task_not_found(&task_id))?;
    if thread_id.is_some_and(|id| id != task.thread_id) {
        return Err(invalid(format!("Task '{task}' is not of context '{}'", thread_id.unwrap_or(task.thread_id))));
    }
    let scope = readable(request, task.thread_id).await?;
    let (chain, thread) = with_thread(request, &scope, task).await?;
    let asked = ending::open(&thread);
    let state = task::shown(request.dialect, &chain, Some(&thread)).state;
    match state {
        State::InputRequired => {
            let command = command.map_or_else(|| input::answer_to(&asked, said), Ok)?;
            Ok((Destination::Answer(chain, command), None))
        }
        _ if demanded => Err(error::unsupported(format!("Task '{task}' does not wait for an answer"))),
        State::Submitted | State::Working => Ok((Destination::Task(chain), Some(said))),
        _ => Err(error::over(task, state.name(request.dialect))),
    }
}

/// A task with its thread's row.
pub(super) async fn with_thread(request: &Request, scope: &Scope, task: TaskId) -> Result<(Chain, Thread), ErrorData> {
    let chain = get::find(request, scope, task).await?;
    let thread = request.app.storage.thread(scope, task.thread_id).await.map_err(failed)?;
    Ok((chain, thread.ok_or_else(|| error::task_not_found(&task.to_string()))?))
}

/// The task of a context that waits for an answer.
async fn waiting(request: &Request, thread_id: ThreadId) -> Result<Option<Chain>, ErrorData> {
    let Request { app, assistant, .. } = request;
    let scope = readable(request, thread_id).await?;
    let thread = app.storage.thread(&scope, thread_id).await.map_err(failed)?;
    if thread.is_none_or(|thread| thread.status != ThreadStatus::Interrupted) {
        return Ok(None);
    }
    let newest = Chain::newest(app, &scope, assistant.assistant_id, thread_id).await.map_err(failed)?;
    // After a task is given up, its question may still be open; it belongs to no task.
    Ok(newest.filter(|chain| !is_given_up(chain.run())))
}

/// The scope in which the caller may read a thread.
pub(super) async fn readable(request: &Request, thread_id: ThreadId) -> Result<Scope, ErrorData> {
    let permit = request.caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await;
    permit.map(|permit| permit.scope).map_err(failed)
}
