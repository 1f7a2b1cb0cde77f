//! `tasks/resubscribe`.

use langopen_core::event_log::{EventId, LogKey, ReadFrom};
use rmcp::model::ErrorData;
use serde::Deserialize;

use super::cursor::Cursor;
use super::destination::readable;
use super::dialect::Dialect;
use super::endpoint::Answered;
use super::error::unsupported;
use super::get::{find, named};
use super::request::Request;
use super::stream::TaskStream;
use super::task;
use crate::doors::json_rpc::{failed, invalid};

#[derive(Deserialize)]
struct Params {
    id: String,
}

/// Streams a task. With `Last-Event-ID`, the stream continues after that event. Without it, the stream sends the task
/// and then all its events from the beginning. The first text event replaces the text that the client may already have.
pub(super) async fn subscribe(request: Request) -> Result<Answered, ErrorData> {
    let Params { id } = request.params()?;
    let show = request.show((None, None))?;
    let task = named(&id)?;
    let after = Cursor::given(&request.headers);
    let after = after.map_err(|()| invalid("Last-Event-ID must be the id of an event of the task's stream"))?;
    let scope = readable(&request, task.thread_id).await?;
    let mut chain = find(&request, &scope, task).await?;
    let rows = request.rows();
    let (thread_id, run_id) = (task.thread_id, chain.run().run_id);
    let log = LogKey { thread_id, run_id };
    // Subscribe before reading the row, so that no event between the two is missed.
    let events = request.app.events.read(log, ReadFrom::After(EventId::ZERO)).await;
    let events = events.map_err(failed)?;
    let row = request.app.storage.run(&rows, thread_id, run_id).await;
    chain.update(row.map_err(failed)?);
    let first = match after {
        Some(_) => None,
        None => {
            let picture = task::stored(&request.app, &rows, request.dialect, &chain).await;
            let picture = picture.map_err(failed)?;
            if request.dialect == Dialect::V1 && picture.state.is_terminal() {
                let state = picture.state.name(request.dialect);
                return Err(unsupported(format!("Task '{task}' is {state}: it has no further events")));
            }
            Some(picture.task(&show))
        }
    };
    let over = chain.run().status.is_terminal();
    let tenant = &request.caller.identity.tenant;
    let reader = request.app.follow(tenant, log, chain.run().resumable, events);
    let reader = reader.over(over).after(EventId::ZERO);
    let (dialect, id) = (request.dialect, request.id);
    let stream = TaskStream { app: request.app, rows, dialect, id, chain, reader, first, after };
    Ok(Answered::Response(stream.response()))
}
