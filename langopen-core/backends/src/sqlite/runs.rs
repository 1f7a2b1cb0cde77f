use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};
use langopen_core::error::{Error, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{FoundRuns, Page, Run, RunQuery, RunSearch};
use langopen_core::run_state::RunStatus;
use langopen_core::storage::Runs;
use langopen_core::tenant::Scope;
use sqlx::SqliteExecutor;

use super::Sqlite;
use super::columns::{self, Context, get};
use super::readiness;
use super::run_search;
use super::thread_rows::is_visible;
use crate::rules::documents::{merge, page, passes};

fn missing(operation: &'static str, thread_id: ThreadId, run_id: RunId) -> Error {
    Error::not_found(operation, format!("there is no run {run_id} on thread {thread_id}"))
}

/// The run, if it is on that thread and the scope shows the thread.
async fn visible(
    operation: &'static str,
    db: impl SqliteExecutor<'_>,
    scope: &Scope,
    thread_id: ThreadId,
    run_id: RunId,
) -> Result<Option<Run>> {
    let row = sqlx::query(
        "SELECT r.*, t.metadata AS thread_metadata FROM runs r JOIN threads t USING (thread_id)
         WHERE r.run_id = ? AND r.thread_id = ? AND r.tenant = ?",
    );
    let row = row.bind(run_id.0).bind(thread_id.0).bind(scope.tenant.as_str());
    match row.fetch_optional(db).await.context(operation)? {
        Some(row) if passes(scope, &columns::json(&row, "thread_metadata")?) => columns::run(&row).map(Some),
        _ => Ok(None),
    }
}

#[async_trait]
impl Runs for Sqlite {
    async fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<Option<Run>> {
        visible("runs.get", self.readers(), scope, thread_id, run_id).await
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

    async fn search_runs(&self, scope: &Scope, search: &RunSearch) -> Result<FoundRuns> {
        run_search::search(self.readers(), scope, search).await
    }

    async fn update_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId, metadata: JsonMap) -> Result<Run> {
        const OPERATION: &str = "runs.update";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let run = visible(OPERATION, &mut *db, &scope, thread_id, run_id).await?;
                let mut run = run.ok_or_else(|| missing(OPERATION, thread_id, run_id))?;
                merge(&mut run.metadata, metadata);
                run.updated_at = now;
                let update = sqlx::query("UPDATE runs SET metadata = ?, updated_at = ? WHERE run_id = ?");
                let update = update.bind(columns::text(&run.metadata)?).bind(now.as_micros()).bind(run_id.0);
                update.execute(&mut *db).await.context(OPERATION)?;
                Ok(run)
            }
            .boxed()
        })
        .await
    }

    async fn delete_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<bool> {
        const OPERATION: &str = "runs.delete";
        let (scope, now) = (scope.clone(), self.now());
        let job = self.write(OPERATION, move |db| {
            async move {
                let there = readiness::visible_run(OPERATION, db, &scope, thread_id, run_id).await?;
                let row = there.ok_or_else(|| missing(OPERATION, thread_id, run_id))?;
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
