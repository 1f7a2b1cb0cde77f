use std::sync::Arc;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::CronId;
use langopen_core::model::{Cron, CronFiring, CronPatch, CronQuery, DueCron, DueCrons, NewCron, Page};
use langopen_core::signals::Signal;
use langopen_core::storage::Crons;
use langopen_core::tenant::Scope;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use tokio::sync::Notify;

use super::Postgres;
use super::columns::{self, CRON, Context, is_taken, text};
use super::session::{Db, transaction};
use crate::rules::{cron, documents::passes};

/// The cron, if it belongs to the tenant. `lock` is the locking clause; empty means no lock.
async fn in_tenant(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    id: CronId,
    lock: &str,
) -> Result<Option<Cron>> {
    let sql = format!("SELECT {CRON} FROM crons WHERE cron_id = $1 AND tenant = $2 {lock}");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.0).bind(scope.tenant.as_str());
    let row = row.fetch_optional(db).await.context(operation)?;
    row.as_ref().map(columns::cron).transpose()
}

const LOCK: &str = "FOR NO KEY UPDATE";

/// Refuses a firing that is not due for its cron. Otherwise locks the cron, so that no other transaction fires it.
pub(super) async fn check_firing(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    firing: CronFiring,
    now: Timestamp,
) -> Result<()> {
    let there = in_tenant(operation, db, scope, firing.cron_id, LOCK).await?;
    cron::check_firing(operation, there.as_ref(), firing, now)
}

/// Sets the next firing of a cron.
pub(super) async fn advance(operation: &'static str, db: &mut Db, firing: CronFiring) -> Result<()> {
    let advance = sqlx::query("UPDATE crons SET next_run_date = $1 WHERE cron_id = $2");
    let advance = advance.bind(firing.next.map(Timestamp::as_micros)).bind(firing.cron_id.0);
    advance.execute(db).await.context(operation)?;
    Ok(())
}

/// Refuses a cron whose assistant or thread does not exist. Otherwise locks both rows, so that they exist until the
/// transaction ends.
async fn check_new(operation: &'static str, db: &mut Db, scope: &Scope, new: &NewCron) -> Result<()> {
    let assistant = sqlx::query("SELECT 1 FROM assistants WHERE assistant_id = $1 AND tenant = $2 FOR KEY SHARE");
    let assistant = assistant.bind(new.assistant_id.0).bind(scope.tenant.as_str());
    if assistant.fetch_optional(&mut *db).await.context(operation)?.is_none() {
        return Err(Error::not_found(operation, format!("there is no assistant {}", new.assistant_id)));
    }
    let Some(id) = new.thread_id else { return Ok(()) };
    let thread = sqlx::query("SELECT 1 FROM threads WHERE thread_id = $1 AND tenant = $2 FOR KEY SHARE");
    let thread = thread.bind(id.0).bind(scope.tenant.as_str()).fetch_optional(db).await.context(operation)?;
    thread.map(drop).ok_or_else(|| Error::not_found(operation, format!("there is no thread {id}")))
}

async fn insert(operation: &'static str, db: &mut Db, scope: &Scope, cron: &Cron) -> Result<()> {
    sqlx::query(
        "INSERT INTO crons (cron_id, tenant, assistant_id, thread_id, enabled, next_run_date, end_time, created_at,
            updated_at, schedule, timezone, on_run_completed, metadata, creator, payload)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
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

/// Writes the columns that a patch may change.
async fn set_patched(operation: &'static str, db: &mut Db, cron: &Cron) -> Result<()> {
    sqlx::query(
        "UPDATE crons SET enabled = $2, next_run_date = $3, end_time = $4, updated_at = $5, schedule = $6, timezone = $7,
            on_run_completed = $8, metadata = $9, payload = $10 WHERE cron_id = $1",
    )
    .bind(cron.cron_id.0)
    .bind(cron.enabled)
    .bind(cron.next_run_date.map(Timestamp::as_micros))
    .bind(cron.end_time.map(Timestamp::as_micros))
    .bind(cron.updated_at.as_micros())
    .bind(&cron.schedule)
    .bind(&cron.timezone)
    .bind(cron.on_run_completed.map(|each| each.as_str()))
    .bind(text(&cron.metadata)?)
    .bind(cron.payload.as_str())
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

impl Postgres {
    /// The crons that the scope shows. SQL applies only some of the query's conditions; the caller must apply the rest.
    async fn visible_crons(&self, scope: &Scope, query: &CronQuery) -> Result<impl Iterator<Item = Cron>> {
        const OPERATION: &str = "crons.search";
        let sql = format!(
            "SELECT {CRON} FROM crons WHERE tenant = $1 AND ($2::UUID IS NULL OR assistant_id = $2)
                AND ($3::UUID IS NULL OR thread_id = $3) AND ($4::BOOLEAN IS NULL OR enabled = $4)"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(scope.tenant.as_str())
            .bind(query.assistant_id.map(|id| id.0))
            .bind(query.thread_id.map(|id| id.0))
            .bind(query.enabled);
        let rows = rows.fetch_all(&mut *self.session(OPERATION).await?).await.context(OPERATION)?;
        let crons = rows.iter().map(columns::cron).collect::<Result<Vec<_>>>()?;
        Ok(crons.into_iter().filter(|cron| passes(scope, &cron.metadata)))
    }
}

fn due(row: &PgRow) -> Result<DueCron> {
    Ok(DueCron { tenant: columns::tenant(row)?, cron: columns::cron(row)? })
}

#[async_trait]
impl Crons for Postgres {
    async fn create_cron(&self, scope: &Scope, new: NewCron) -> Result<Cron> {
        const OPERATION: &str = "crons.create";
        let now = self.now();
        let created = transaction!(self, OPERATION, |db| {
            check_new(OPERATION, db, scope, &new).await?;
            let cron = cron::row(new.clone(), now)?;
            match insert(OPERATION, db, scope, &cron).await {
                Err(error) if is_taken(&error) => Err(cron::taken(OPERATION, cron.cron_id)),
                inserted => inserted,
            }?;
            Ok(cron)
        });
        let created = created.await?;
        self.hint(Signal::CronsChanged);
        Ok(created)
    }

    async fn cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>> {
        const OPERATION: &str = "crons.get";
        let cron = in_tenant(OPERATION, &mut *self.session(OPERATION).await?, scope, id, "").await?;
        Ok(cron.filter(|cron| passes(scope, &cron.metadata)))
    }

    async fn update_cron(&self, scope: &Scope, id: CronId, patch: CronPatch) -> Result<Cron> {
        const OPERATION: &str = "crons.update";
        let now = self.now();
        let changed = transaction!(self, OPERATION, |db| {
            let there = in_tenant(OPERATION, db, scope, id, LOCK).await?;
            let there = there.filter(|cron| passes(scope, &cron.metadata));
            let there = there.ok_or_else(|| cron::not_found(OPERATION, id))?;
            let cron = cron::patched(there, patch.clone(), now)?;
            set_patched(OPERATION, db, &cron).await?;
            Ok(cron)
        });
        let changed = changed.await?;
        self.hint(Signal::CronsChanged);
        Ok(changed)
    }

    async fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<()> {
        const OPERATION: &str = "crons.delete";
        transaction!(self, OPERATION, |db| {
            let there = in_tenant(OPERATION, db, scope, id, "FOR UPDATE").await?;
            if !there.is_some_and(|cron| passes(scope, &cron.metadata)) {
                return Err(cron::not_found(OPERATION, id));
            }
            let delete = sqlx::query("DELETE FROM crons WHERE cron_id = $1").bind(id.0);
            delete.execute(&mut *db).await.context(OPERATION)?;
            Ok(())
        })
        .await
    }

    async fn search_crons(&self, scope: &Scope, query: &CronQuery) -> Result<Page<Cron>> {
        cron::search(self.visible_crons(scope, query).await?, query)
    }

    async fn count_crons(&self, scope: &Scope, query: &CronQuery) -> Result<u64> {
        let found = self.visible_crons(scope, query).await?;
        Ok(found.filter(|each| cron::answers(each, query)).count() as u64)
    }

    async fn due_crons(&self, limit: u32) -> Result<DueCrons> {
        const OPERATION: &str = "crons.due";
        let now = self.now();
        let sql = format!(
            "SELECT {CRON}, tenant FROM crons WHERE enabled AND next_run_date IS NOT NULL AND (end_time IS NULL OR end_time > $1)
             ORDER BY next_run_date, cron_id LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(now.as_micros()).bind(i64::from(limit) + 1);
        let rows = rows.fetch_all(&mut *self.session(OPERATION).await?).await.context(OPERATION)?;
        let mut crons = rows.iter().map(due).collect::<Result<Vec<_>>>()?;
        let is_due = |each: &DueCron| each.cron.next_run_date.is_some_and(|next| next <= now);
        let count = crons.iter().take(limit as usize).take_while(|each| is_due(each)).count();
        let next_due = crons.get(count).and_then(|each| each.cron.next_run_date);
        crons.truncate(count);
        Ok(DueCrons { crons, next_due })
    }

    async fn skip_cron(&self, scope: &Scope, firing: CronFiring) -> Result<()> {
        const OPERATION: &str = "crons.skip";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            check_firing(OPERATION, db, scope, firing, now).await?;
            advance(OPERATION, db, firing).await?;
            Ok(())
        })
        .await
    }

    fn cron_wakes(&self) -> Arc<Notify> {
        self.shared.hints.cron_wakes.clone()
    }
}
