//! `agent.getTree` for a connection that has not read the run's events.

use langopen_core::RunStatus;
use langopen_core::model::{RunQuery, ThreadStatus};
use serde_json::json;

use super::command::Commander;
use super::envelope::{Answer, ErrorCode, Refusal, answer};
use super::tree::{Status, TreeNode};

/// The status of the thread's latest run from its row, as a tree with only the root.
pub(super) async fn tree(commander: &Commander) -> Answer {
    let none = || Refusal::new(ErrorCode::NoSuchRun, "No active run is bound to this thread.");
    let (scope, thread) = commander.readable().await.map_err(|refusal| match refusal.error {
        ErrorCode::NoSuchRun => none(),
        _ => refusal,
    })?;
    let query = RunQuery::default().with_limit(1);
    let runs = commander.app.storage.list_runs(&scope, thread.thread_id, &query).await?;
    let run = runs.items.first().ok_or_else(none)?;
    let status = match run.status {
        RunStatus::Pending => Status::Started,
        RunStatus::Running => Status::Running,
        RunStatus::Success if thread.status == ThreadStatus::Interrupted => Status::Interrupted,
        RunStatus::Success => Status::Completed,
        RunStatus::Error | RunStatus::Timeout | RunStatus::Interrupted => Status::Failed,
    };
    answer(&json!({"tree": TreeNode::root(status, &run.graph_id)}))
}
