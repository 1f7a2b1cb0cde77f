use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::CronId;
use langopen_core::model::{Cron, CronFiring, CronPatch, CronQuery, DueCron, DueCrons, NewCron, Page};
use langopen_core::storage::Crons;
use langopen_core::tenant::Scope;
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteExecutor, SqliteRow};
use tokio::sync::Notify;

use super::Sqlite;
use super::columns::{self, Context, get, text};
use crate::rules::{cron, documents::passes};

/// Sets the next firing of a cron. The parameters are the next moment and the cron's id.
pub(super) const ADVANCE: &str = "UPDATE crons SET next_run_date = ? WHERE cron_id = ?";

/// The cron, if it belongs to the tenant.
async fn in_tenant<'e>(
    operation: &'static str,
    db: impl SqliteExecutor<'e>,
    scope: &Scope,
    id: CronId,
) -> Result<Option<Cron>> {
    let row = sqlx::query("SELECT * FROM crons WHERE cron_id = ? AND tenant = ?").bind(id.0);
    let row = row.bind(scope.tenant.as_str()).fetch_optional(db).await.context(operation)?;
    row.as_ref().map(columns::cron).transpose()
}

/// Refuses a firing that is not due for its cron.
pub(super) async fn check_firing(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: &Scope,
    firing: CronFiring,
    now: Timestamp,
) -> Result<()> {
    let there = in_tenant(operation, db, scope, firing.cron_id).await?;
    cron::check_firing(operation, there.as_ref(), firing, now)
}

/// Refuses a cron whose assistant or thread does not exist.
async fn check_new(operation: &'static str, db: &mut SqliteConnection, scope: &Scope, new: &NewCron) -> Result<()> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM assistants WHERE assistant_id = ?1 AND tenant = ?4) AS assistant,
            ?2 IS NULL OR EXISTS (SELECT 1 FROM threads WHERE thread_id = ?2 AND tenant = ?4) AS thread,
            EXISTS (SELECT 1 FROM crons WHERE cron_id = ?3) AS taken",
    )
    .bind(new.assistant_id.0)
    .bind(new.thread_id.map(|id| id.0))
    .bind(new.cron_id.0)
    .bind(scope.tenant.as_str())
    .fetch_one(db)
    .await
    .context(operation)?;
    if !get::<bool>(&row, "assistant")? {
        return Err(Error::not_found(operation, format!("there is no assistant {}", new.assistant_id)));
    }
    if let Some(id) = new.thread_id
        && !get::<bool>(&row, "thread")?
    {
        return Err(Error::not_found(operation, format!("there is no thread {id}")));
    }
    if get(&row, "taken")? {
        return Err(cron::taken(operation, new.cron_id));
    }
    Ok(())
}

/// Writes the whole row, for a new or an existing cron.
async fn put(operation: &'static str, db: &mut SqliteConnection, scope: &Scope, cron: &Cron) -> Result<()> {
    sqlx::query(
        "INSERT INTO crons (cron_id, tenant, assistant_id, thread_id, enabled, next_run_date, end_time, created_at,
            updated_at, schedule, timezone, on_run_completed, metadata, creator, payload)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (cron_id) DO UPDATE SET enabled = excluded.enabled, next_run_date = excluded.next_run_date,
            end_time = excluded.end_time, updated_at = excluded.updated_at, schedule = excluded.schedule,
            timezone = excluded.timezone, on_run_completed = excluded.on_run_completed, metadata = excluded.metadata,
            payload = excluded.payload",
    )
    .bind(cron.cron_id.0)
    .bind(scope.tenant.as_str())
    .bind(cron.assistant_id.0)
    .bind(cron.thread_id.map(|id| id.0))
    .bind(cron.enabled)
    .bind(cron.next_run_date.map(Timestamp::as_micros))
    .bind(cron.end_time.map(Timestamp::as_micros))
    .bind(cron.created_at.as_micros())
    .bind(cron.updated_at.as_micros())
    .bind(&cron.schedule)
    .bind(&cron.timezone)
    .bind(cron.on_run_completed.map(|each| each.as_str()))
    .bind(text(&cron.metadata)?)
    .bind(text(&cron.creator)?)
    .bind(cron.payload.as_str())
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

impl Sqlite {
    /// The crons that the scope shows. SQL applies only some of the query's conditions; the caller must apply the rest.
    async fn visible_crons(&self, scope: &Scope, query: &CronQuery) -> Result<impl Iterator<Item = Cron>> {
        let rows = sqlx::query(
            "SELECT * FROM crons WHERE tenant = ?1 AND (?2 IS NULL OR assistant_id = ?2)
                AND (?3 IS NULL OR thread_id = ?3) AND (?4 IS NULL OR enabled = ?4)",
        )
        .bind(scope.tenant.as_str())
        .bind(query.assistant_id.map(|id| id.0))
        .bind(query.thread_id.map(|id| id.0))
        .bind(query.enabled)
        .fetch_all(self.readers())
        .await
        .context("crons.search")?;
        let crons = rows.iter().map(columns::cron).collect::<Result<Vec<_>>>()?;
        Ok(crons.into_iter().filter(|cron| passes(scope, &cron.metadata)))
    }
}

fn due(row: &SqliteRow) -> Result<DueCron> {
    Ok(DueCron { tenant: columns::tenant(row)?, cron: columns::cron(row)? })
}

#[async_trait]
impl Crons for Sqlite {
    async fn create_cron(&self, scope: &Scope, new: NewCron) -> Result<Cron> {
        const OPERATION: &str = "crons.create";
        let (scope, now) = (scope.clone(), self.now());
        let created = self.write(OPERATION, move |db| {
            async move {
                check_new(OPERATION, db, &scope, &new).await?;
                let cron = cron::row(new, now)?;
                put(OPERATION, db, &scope, &cron).await?;
                Ok(cron)
            }
            .boxed()
        });
        let created = created.await?;
        self.shared.cron_wakes.notify_one();
        Ok(created)
    }

    async fn cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>> {
        let cron = in_tenant("crons.get", self.readers(), scope, id).await?;
        Ok(cron.filter(|cron| passes(scope, &cron.metadata)))
    }

    async fn update_cron(&self, scope: &Scope, id: CronId, patch: CronPatch) -> Result<Cron> {
        const OPERATION: &str = "crons.update";
        let (scope, now) = (scope.clone(), self.now());
        let changed = self.write(OPERATION, move |db| {
            async move {
                let there = in_tenant(OPERATION, &mut *db, &scope, id).await?;
                let there = there.filter(|cron| passes(&scope, &cron.metadata));
                let there = there.ok_or_else(|| cron::not_found(OPERATION, id))?;
                let cron = cron::patched(there, patch, now)?;
                put(OPERATION, db, &scope, &cron).await?;
                Ok(cron)
            }
            .boxed()
        });
        let changed = changed.await?;
        self.shared.cron_wakes.notify_one();
        Ok(changed)
    }

    async fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<()> {
        const OPERATION: &str = "crons.delete";
        let scope = scope.clone();
        let deleted = self.write(OPERATION, move |db| {
            async move {
                let there = in_tenant(OPERATION, &mut *db, &scope, id).await?;
                if !there.is_some_and(|cron| passes(&scope, &cron.metadata)) {
                    return Err(cron::not_found(OPERATION, id));
                }
                let delete = sqlx::query("DELETE FROM crons WHERE cron_id = ?").bind(id.0);
                delete.execute(db).await.context(OPERATION)?;
                Ok(())
            }
            .boxed()
        });
        deleted.await
    }

    async fn search_crons(&self, scope: &Scope, query: &CronQuery) -> Result<Page<Cron>> {
        cron::search(self.visible_crons(scope, query).await?, query)
    }

    async fn count_crons(&self, scope: &Scope, query: &CronQuery) -> Result<u64> {
        let found = self.visible_crons(scope, query).await?;
        Ok(found.filter(|each| cron::answers(each, query)).count() as u64)
    }

    async fn due_crons(&self, limit: u32) -> Result<DueCrons> {
        let now = self.now();
        let rows = sqlx::query(
            "SELECT * FROM crons WHERE enabled = 1 AND next_run_date IS NOT NULL AND (end_time IS NULL OR end_time > ?)
             ORDER BY next_run_date, cron_id LIMIT ?",
        )
        .bind(now.as_micros())
        .bind(i64::from(limit) + 1)
        .fetch_all(self.readers())
        .await
        .context("crons.due")?;
        let mut crons = rows.iter().map(due).collect::<Result<Vec<_>>>()?;
        let is_due = |each: &DueCron| each.cron.next_run_date.is_some_and(|next| next <= now);
        let count = crons.iter().take(limit as usize).take_while(|each| is_due(each)).count();
        let next_due = crons.get(count).and_then(|each| each.cron.next_run_date);
        crons.truncate(count);
        Ok(DueCrons { crons, next_due })
    }

    async fn skip_cron(&self, scope: &Scope, firing: CronFiring) -> Result<()> {
        const OPERATION: &str = "crons.skip";
        let (scope, now) = (scope.clone(), self.now());
        let skipped = self.write(OPERATION, move |db| {
            async move {
                check_firing(OPERATION, db, &scope, firing, now).await?;
                let advance = sqlx::query(ADVANCE).bind(firing.next.map(Timestamp::as_micros));
                advance.bind(firing.cron_id.0).execute(db).await.context(OPERATION)?;
                Ok(())
            }
            .boxed()
        });
        skipped.await
    }

    fn cron_wakes(&self) -> Arc<Notify> {
        self.shared.cron_wakes.clone()
    }
}
