//! `tasks/cancel`.

use std::time::Duration;

use langopen_core::ErrorKind;
use langopen_core::auth::{Action, Resource, Role};
use langopen_core::event_log::{LogKey, ReadFrom};
use langopen_core::model::{CancelAction, CancelRequest};
use rmcp::model::ErrorData;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::endpoint::Answered;
use super::error::not_cancelable;
use super::get::{find, named};
use super::request::Request;
use super::task;
use crate::json_rpc::{answer, failed};
use crate::runs::{Follow, cancel as cancel_run};

/// How long the answer waits for the run's end: a graph may be busy with what cannot be stopped.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Params {
    id: String,
}

pub(super) async fn cancel(request: &Request) -> Result<Answered, ErrorData> {
    let Params { id } = request.params()?;
    let show = request.show(None)?;
    let task = named(&id)?;
    let Request { app, caller, .. } = request;
    caller.must_be(Role::Developer).map_err(|error| failed(&error))?;
    let (thread_id, action) = (task.thread_id, CancelAction::Interrupt);
    let value = || json!({"thread_id": thread_id, "metadata": {}, "action": action.as_str()});
    let permit = caller.may(Resource::Threads, Action::Update, value).await.map_err(|error| failed(&error))?;
    let mut chain = find(request, &permit.scope, task).await?;
    let (run_id, resumable) = (chain.run().run_id, chain.run().resumable);
    let events = app.events.read(LogKey { thread_id, run_id }, ReadFrom::Now).await;
    let events = events.map_err(|error| failed(&error.into()))?;
    let reason = "interrupt requested via A2A tasks/cancel".to_owned();
    match cancel_run(app, &permit.scope, thread_id, run_id, CancelRequest { action, reason }).await {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_cancelable()),
        Err(error) => return Err(failed(&error.into())),
    }
    let mut follow = Follow::new(app, &caller.identity.tenant, (thread_id, run_id), resumable, events);
    let over = async { while follow.next().await.is_some() {} };
    let _ = timeout(PATIENCE, over).await;
    let row = app.storage.run(&request.rows(), thread_id, run_id).await;
    chain.update(row.map_err(|error| failed(&error.into()))?);
    let picture = task::kept(app, &request.rows(), request.dialect, &chain).await;
    let picture = picture.map_err(|error| failed(&error.into()))?;
    answer(&picture.task(show)).map(Answered::Now)
}
