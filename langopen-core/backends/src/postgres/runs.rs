use async_trait::async_trait;
use futures::TryStreamExt;
use langopen_core::error::{Error, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{FoundRuns, Page, Run, RunQuery, RunSearch};
use langopen_core::run_state::RunStatus;
use langopen_core::signals::Signal;
use langopen_core::storage::Runs;
use langopen_core::tenant::Scope;
use sqlx::AssertSqlSafe;

use super::Postgres;
use super::columns::{self, Context, RUN, get};
use super::readiness;
use super::run_search;
use super::session::transaction;
use super::thread_rows::{Lock, is_visible, lock, uuids};
use crate::rules::documents::{merge, page, passes};

fn missing(operation: &'static str, thread_id: ThreadId, run_id: RunId) -> Error {
    Error::not_found(operation, format!("there is no run {run_id} on thread {thread_id}"))
}

impl Postgres {
    /// Removes a run. Returns whether it was in flight, and whether another run may start now.
    async fn remove_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<(bool, bool)> {
        const OPERATION: &str = "runs.delete";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            lock(OPERATION, db, &[thread_id]).await?;
            let there = readiness::visible_run(OPERATION, db, scope, thread_id, run_id).await?;
            let row = there.ok_or_else(|| missing(OPERATION, thread_id, run_id))?;
            let in_flight = !columns::named(&row, "status", RunStatus::parse)?.is_terminal();
            let delete = sqlx::query("DELETE FROM runs WHERE run_id = $1").bind(run_id.0);
            delete.execute(&mut *db).await.context(OPERATION)?;
            let promoted = match (in_flight, get(&row, "temporary")?) {
                (false, _) => false,
                (true, true) => {
                    super::thread_rows::remove(OPERATION, db, &[thread_id]).await?;
                    false
                }
                (true, false) => readiness::settle(OPERATION, db, &[thread_id], now).await?,
            };
            Ok((in_flight, promoted))
        })
        .await
    }
}

#[async_trait]
impl Runs for Postgres {
    async fn run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<Option<Run>> {
        const OPERATION: &str = "runs.get";
        let sql = format!(
            "SELECT {RUN}, t.metadata AS thread_metadata FROM runs r JOIN threads t USING (thread_id)
             WHERE r.run_id = $1 AND r.thread_id = $2 AND r.tenant = $3"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(run_id.0).bind(thread_id.0).bind(scope.tenant.as_str());
        match row.fetch_optional(&mut *self.session(OPERATION).await?).await.context(OPERATION)? {
            Some(row) if passes(scope, &columns::json(&row, "thread_metadata")?) => columns::run(&row).map(Some),
            _ => Ok(None),
        }
    }

    async fn list_runs(&self, scope: &Scope, thread_id: ThreadId, query: &RunQuery) -> Result<Page<Run>> {
        const OPERATION: &str = "runs.list";
        let mut db = self.session(OPERATION).await?;
        if !is_visible(OPERATION, &mut db, scope, thread_id, Lock::None).await? {
            return Ok(Page { items: Vec::new(), more: false });
        }
        let sql = format!(
            "SELECT {RUN} FROM runs r WHERE thread_id = $1 AND tenant = $2 AND ($3::TEXT IS NULL OR status = $3)
             ORDER BY created_at DESC, run_id DESC LIMIT $4 OFFSET $5"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(thread_id.0)
            .bind(scope.tenant.as_str())
            .bind(query.status.map(RunStatus::as_str))
            .bind(i64::from(query.limit) + 1)
            .bind(i64::from(query.offset));
        let rows = rows.fetch_all(&mut *db).await.context(OPERATION)?;
        let runs = rows.iter().map(columns::run).collect::<Result<Vec<_>>>()?;
        Ok(page(runs, 0, query.limit))
    }

    async fn runs_of_threads(&self, scope: &Scope, threads: &[ThreadId], limit: u32) -> Result<Vec<Run>> {
        const OPERATION: &str = "runs.of_threads";
        let mut db = self.session(OPERATION).await?;
        let sql = format!(
            "SELECT {RUN}, t.metadata AS thread_metadata FROM runs r JOIN threads t USING (thread_id)
             WHERE r.thread_id = ANY($1) AND r.tenant = $2 ORDER BY r.created_at DESC, r.run_id DESC"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(uuids(threads)).bind(scope.tenant.as_str());
        let mut rows = rows.fetch(&mut *db);
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
        run_search::search(self, scope, search).await
    }

    async fn update_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId, metadata: JsonMap) -> Result<Run> {
        const OPERATION: &str = "runs.update";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let sql = format!(
                "SELECT {RUN}, t.metadata AS thread_metadata FROM runs r JOIN threads t USING (thread_id)
                 WHERE r.run_id = $1 AND r.thread_id = $2 AND r.tenant = $3 FOR NO KEY UPDATE OF r"
            );
            let row = sqlx::query(AssertSqlSafe(sql)).bind(run_id.0).bind(thread_id.0).bind(scope.tenant.as_str());
            let row = row.fetch_optional(&mut *db).await.context(OPERATION)?;
            let row = row.ok_or_else(|| missing(OPERATION, thread_id, run_id))?;
            if !passes(scope, &columns::json(&row, "thread_metadata")?) {
                return Err(missing(OPERATION, thread_id, run_id));
            }
            let mut run = columns::run(&row)?;
            merge(&mut run.metadata, metadata.clone());
            run.updated_at = now;
            let update = sqlx::query("UPDATE runs SET metadata = $2, updated_at = $3 WHERE run_id = $1");
            let update = update.bind(run_id.0).bind(columns::text(&run.metadata)?).bind(now.as_micros());
            update.execute(&mut *db).await.context(OPERATION)?;
            Ok(run)
        })
        .await
    }

    async fn delete_run(&self, scope: &Scope, thread_id: ThreadId, run_id: RunId) -> Result<bool> {
        let (in_flight, promoted) = self.remove_run(scope, thread_id, run_id).await?;
        self.stop_deleted(&[run_id]);
        self.hint_if(promoted, Signal::RunsReady);
        Ok(in_flight)
    }
}
