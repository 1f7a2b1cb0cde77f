//! `tasks/get`.

use rmcp::model::ErrorData;
use serde::Deserialize;

use super::chain::Chain;
use super::destination::readable;
use super::endpoint::Answered;
use super::error::task_not_found;
use super::request::Request;
use super::task;
use super::task_id::TaskId;
use crate::doors::json_rpc::{answer, failed};
use langopen_core::Scope;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    id: String,
    #[serde(default)]
    history_length: Option<i64>,
    #[serde(default)]
    history_scope: Option<String>,
}

pub(super) async fn get(request: &Request) -> Result<Answered, ErrorData> {
    let Params { id, history_length, history_scope } = request.params()?;
    let show = request.show((history_length, history_scope.as_deref()))?;
    let task = named(&id)?;
    let scope = readable(request, task.thread_id).await?;
    let chain = find(request, &scope, task).await?;
    let picture = task::stored(&request.app, &scope, request.dialect, &chain).await;
    let picture = picture.map_err(failed)?;
    answer(&picture.task(&show)).map(Answered::Now)
}

/// Parses a task's id.
pub(super) fn named(id: &str) -> Result<TaskId, ErrorData> {
    id.parse().map_err(|()| task_not_found(id))
}

/// An agent's task on a thread, if the scope allows it.
pub(super) async fn find(request: &Request, scope: &Scope, task: TaskId) -> Result<Chain, ErrorData> {
    let chain = Chain::find(&request.app, scope, request.assistant.assistant_id, task).await;
    chain.map_err(failed)?.ok_or_else(|| task_not_found(&task.to_string()))
}
