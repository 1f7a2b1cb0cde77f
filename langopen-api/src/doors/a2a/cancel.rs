//! `tasks/cancel`.

use std::time::Duration;

use langopen_core::auth::{Action, Resource, Role};
use langopen_core::event_log::{LogKey, ReadFrom};
use langopen_core::model::{CancelAction, CancelRequest, Thread};
use langopen_core::{ErrorKind, JsonMap, Scope};
use rmcp::model::ErrorData;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::chain::Chain;
use super::destination::with_thread;
use super::dialect::State;
use super::endpoint::Answered;
use super::error::not_cancelable;
use super::get::{find, named};
use super::request::Request;
use super::task;
use super::task_id::{CANCELED_KEY, is_given_up};
use crate::agent::state::clear_tasks;
use crate::doors::json_rpc::{answer, failed};

/// The most time the answer waits for the run's end. A graph may be in code that cannot be interrupted.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Params {
    id: String,
}

pub(super) async fn cancel(request: &Request) -> Result<Answered, ErrorData> {
    let Params { id } = request.params()?;
    let show = request.show((None, None))?;
    let task = named(&id)?;
    let Request { app, caller, .. } = request;
    caller.must_be(Role::Developer).map_err(failed)?;
    let (thread_id, action) = (task.thread_id, CancelAction::Interrupt);
    let value = || json!({"thread_id": thread_id, "metadata": {}, "action": action.as_str()});
    let permit = caller.may(Resource::Threads, Action::Update, value).await.map_err(failed)?;
    let (mut chain, thread) = with_thread(request, &permit.scope, task).await?;
    let waits = task::shown(request.dialect, &chain, Some(&thread)).state == State::InputRequired;
    if waits {
        give_up(request, &permit.scope, &mut chain, &thread).await?;
    }
    // If an answer arrived before the mark was set, a new run continues the task. That run is stopped like any other.
    if !waits || !is_given_up(chain.run()) {
        stop(request, &permit.scope, &mut chain, action).await?;
    }
    let picture = task::stored(app, &request.rows(), request.dialect, &chain).await;
    let picture = picture.map_err(failed)?;
    answer(&picture.task(&show)).map(Answered::Now)
}

/// Gives up a task that waits for an answer: marks its last run, which has already ended, and clears the graph's open
/// question.
async fn give_up(request: &Request, scope: &Scope, chain: &mut Chain, thread: &Thread) -> Result<(), ErrorData> {
    let Request { app, caller, .. } = request;
    let (thread_id, run_id) = (thread.thread_id, chain.run().run_id);
    let metadata = JsonMap::from_iter([(CANCELED_KEY.to_owned(), true.into())]);
    app.storage.update_run(scope, thread_id, run_id, metadata).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => not_cancelable(),
        _ => failed(error),
    })?;
    // The task is over even if this fails: an open question then belongs to no task.
    if let Err(error) = clear_tasks(app, (scope, &caller.identity), thread).await {
        tracing::warn!(thread.id = %thread_id, error = error.message(), "cannot clear the graph's question of a canceled task; the thread stays interrupted");
    }
    *chain = find(request, scope, chain.task).await?;
    Ok(())
}

/// Cancels the last run of a task, and waits for its end.
async fn stop(request: &Request, scope: &Scope, chain: &mut Chain, action: CancelAction) -> Result<(), ErrorData> {
    let Request { app, caller, .. } = request;
    let (thread_id, run_id, resumable) = (chain.task.thread_id, chain.run().run_id, chain.run().resumable);
    let log = LogKey { thread_id, run_id };
    let events = app.events.read(log, ReadFrom::Now).await;
    let events = events.map_err(failed)?;
    let reason = "interrupt requested via A2A tasks/cancel".to_owned();
    match app.runs.cancel(scope, thread_id, run_id, CancelRequest { action, reason }).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_cancelable()),
        Err(error) => return Err(failed(error)),
    }
    let mut reader = app.follow(&caller.identity.tenant, log, resumable, events);
    let over = async { while reader.next().await.is_some() {} };
    let _ = timeout(PATIENCE, over).await;
    let row = app.storage.run(&request.rows(), thread_id, run_id).await;
    chain.update(row.map_err(failed)?);
    Ok(())
}
