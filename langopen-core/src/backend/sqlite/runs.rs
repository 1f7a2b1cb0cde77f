use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};

use super::Sqlite;
use super::columns::{self, Context, get};
use super::readiness;
use super::thread_rows::is_visible;
use crate::backend::rules::documents::{page, passes};
use crate::error::{Error, Result};
use crate::ids::{RunId, ThreadId};
use crate::model::{Page, Run, RunQuery};
use crate::run_state::RunStatus;
use crate::storage::Runs;
use crate::tenant::Scope;

#[async_trait]
impl Runs for Sqlite {
    async fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<Option<Run>> {
        let row = sqlx::query(
            "SELECT r.*, t.metadata AS thread_metadata FROM runs r JOIN threads t USING (thread_id)
             WHERE r.run_id = ? AND r.thread_id = ? AND r.tenant = ?",
        );
        let row = row.bind(run_id.0).bind(thread_id.0).bind(scope.tenant.as_str());
        match row.fetch_optional(self.readers()).await.context("runs.get")? {
            Some(row) if passes(scope, &columns::json(&row, "thread_metadata")?) => columns::run(&row).map(Some),
            _ => Ok(None),
        }
    }

    async fn list_runs(&self, scope: &Scope, thread_id: ThreadId, query: &RunQuery) -> Result<Page<Run>> {
        const OPERATION: &str = "runs.list";
        if !is_visible(OPERATION, self.readers(), scope, thread_id).await? {
            return Ok(Page { items: Vec::new(), more: false });
        }
        let rows = sqlx::query(
            "SELECT * FROM runs WHERE thread_id = ?1 AND tenant = ?2 AND (?3 IS NULL OR status = ?3)
             ORDER BY created_at DESC, run_id DESC LIMIT ?4 OFFSET ?5",
        )
        .bind(thread_id.0)
        .bind(scope.tenant.as_str())
        .bind(query.status.map(RunStatus::as_str))
        .bind(i64::from(query.limit) + 1)
        .bind(query.offset)
        .fetch_all(self.readers())
        .await
        .context(OPERATION)?;
        let runs = rows.iter().map(columns::run).collect::<Result<Vec<_>>>()?;
        Ok(page(runs, 0, query.limit))
    }

    async fn runs_of_threads(&self, scope: &Scope, threads: &[ThreadId], limit: u32) -> Result<Vec<Run>> {
        const OPERATION: &str = "runs.of_threads";
        let ids = columns::id_list(threads.iter().map(|id| id.0))?;
        let rows = sqlx::query(
            "SELECT r.*, t.metadata AS thread_metadata FROM runs r JOIN threads t USING (thread_id)
             WHERE r.thread_id IN (SELECT unhex(value) FROM json_each(?)) AND r.tenant = ?
             ORDER BY r.created_at DESC, r.run_id DESC",
        );
        let mut rows = rows.bind(ids).bind(scope.tenant.as_str()).fetch(self.readers());
        let mut runs = Vec::new();
        while runs.len() < limit as usize
            && let Some(row) = rows.try_next().await.context(OPERATION)?
        {
            if scope.filter.is_none() || passes(scope, &columns::json(&row, "thread_metadata")?) {
                runs.push(columns::run(&row)?);
            }
        }
        Ok(runs)
    }

    async fn delete_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<bool> {
        const OPERATION: &str = "runs.delete";
        let (scope, now) = (scope.clone(), self.now());
        let job = self.write(OPERATION, move |db| {
            async move {
                let there = readiness::visible_run(OPERATION, db, &scope, thread_id, run_id).await?;
                let message = || format!("there is no run {run_id} on thread {thread_id}");
                let row = there.ok_or_else(|| Error::not_found(OPERATION, message()))?;
                let status = columns::named(&row, "status", RunStatus::parse)?;
                let temporary = get(&row, "temporary")?;
                let delete = sqlx::query("DELETE FROM runs WHERE run_id = ?").bind(run_id.0);
                delete.execute(&mut *db).await.context(OPERATION)?;
                let promoted = match status.is_terminal() {
                    true => None,
                    false => readiness::settle(OPERATION, db, thread_id, temporary, now).await?,
                };
                Ok((!status.is_terminal(), promoted))
            }
            .boxed()
        });
        let (in_flight, promoted) = job.await?;
        self.stop_deleted(&[run_id]);
        if promoted.is_some() {
            self.shared.wakes.notify_one();
        }
        Ok(in_flight)
    }
}
