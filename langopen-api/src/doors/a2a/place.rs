//! Where a message goes.

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

/// Where a message goes.
pub(super) enum Place {
    /// To a context, perhaps a new one, to begin a task there.
    Context(ThreadId),
    /// To a task that asks, as the answer.
    Answer(Chain, RawJson),
    /// To a task that is at work.
    Task(Chain),
}

/// Finds out where a message goes; what is left of it to say is the run's input.
pub(super) async fn place(
    request: &Request,
    (task_id, context_id): (Option<String>, Option<String>),
    said: Said,
    command: Option<RawJson>,
) -> Result<(Place, Option<Said>), ErrorData> {
    let given = |id: Option<String>| id.filter(|id| !id.is_empty());
    let thread_id: Option<ThreadId> = match given(context_id) {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| invalid("Invalid context ID: must be a UUID"))?),
    };
    let demanded = command.is_some();
    let command = input::command_of(command, &said)?;
    let Some(task_id) = given(task_id) else {
        // An answer may name the context alone.
        if let (Some(thread_id), Some(command)) = (thread_id, &command)
            && let Some(chain) = waiting(request, thread_id).await?
        {
            return Ok((Place::Answer(chain, command.clone()), None));
        }
        if demanded {
            return Err(error::unsupported("No task of the context waits for an answer"));
        }
        let new = || ThreadId(request.app.ids.ordered());
        return Ok((Place::Context(thread_id.unwrap_or_else(new)), Some(said)));
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
            Ok((Place::Answer(chain, command), None))
        }
        _ if demanded => Err(error::unsupported(format!("Task '{task}' waits for no answer"))),
        State::Submitted | State::Working => Ok((Place::Task(chain), Some(said))),
        _ => Err(error::over(task, state.name(request.dialect))),
    }
}

/// A task with its thread's row.
pub(super) async fn with_thread(request: &Request, scope: &Scope, task: TaskId) -> Result<(Chain, Thread), ErrorData> {
    let chain = get::find(request, scope, task).await?;
    let thread = request.app.storage.thread(scope, task.thread_id).await.map_err(|error| failed(&error.into()))?;
    Ok((chain, thread.ok_or_else(|| error::task_not_found(&task.to_string()))?))
}

/// The task of a context that waits for an answer.
async fn waiting(request: &Request, thread_id: ThreadId) -> Result<Option<Chain>, ErrorData> {
    let Request { app, assistant, .. } = request;
    let scope = readable(request, thread_id).await?;
    let thread = app.storage.thread(&scope, thread_id).await.map_err(|error| failed(&error.into()))?;
    if thread.is_none_or(|thread| thread.status != ThreadStatus::Interrupted) {
        return Ok(None);
    }
    let newest = Chain::newest(app, &scope, assistant.assistant_id, thread_id).await.map_err(|error| failed(&error))?;
    // The question of a task that was given up is nobody's, should it still be open.
    Ok(newest.filter(|chain| !is_given_up(chain.run())))
}

/// Which rows of a thread the caller may read.
pub(super) async fn readable(request: &Request, thread_id: ThreadId) -> Result<Scope, ErrorData> {
    let permit = request.caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await;
    permit.map(|permit| permit.scope).map_err(|error| failed(&error))
}
