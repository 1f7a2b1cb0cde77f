use async_trait::async_trait;
use futures::TryStreamExt;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::filter::contains_all;
use langopen_core::ids::{AssistantId, RunId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{
    Assistant, AssistantPatch, AssistantQuery, AssistantSort, AssistantVersionQuery, IfExists, NewAssistant, Page,
};
use langopen_core::storage::{Assistants, DeletedAssistant};
use langopen_core::tenant::{Scope, Tenant};
use sqlx::{AssertSqlSafe, QueryBuilder};

use super::Postgres;
use super::columns::{self, ASSISTANT, Context, get, text};
use super::conditions::{self, searchable};
use super::queue::cancel::{self, Stopped};
use super::session::{Db, transaction};
use super::thread_rows;
use crate::rules::documents::{cannot_sort, page, passes};
use crate::rules::{assistant, run};

/// The current version of the assistant, if the scope shows it.
async fn visible(operation: &'static str, db: &mut Db, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>> {
    let sql = format!(
        "SELECT {ASSISTANT} FROM assistants a JOIN assistant_versions v USING (tenant, assistant_id, version)
         WHERE a.tenant = $1 AND a.assistant_id = $2"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(scope.tenant.as_str()).bind(id.0);
    let row = row.fetch_optional(db).await.context(operation)?;
    let assistant = row.as_ref().map(columns::assistant).transpose()?;
    Ok(assistant.filter(|assistant| passes(scope, &assistant.metadata)))
}

/// The current version of the assistant. Its row stays locked until the transaction ends.
async fn locked(operation: &'static str, db: &mut Db, scope: &Scope, id: AssistantId) -> Result<Assistant> {
    // A statement that waits for the lock sees the new row, but joins it with the old version. So a second statement
    // reads the version.
    let lock = sqlx::query("SELECT 1 FROM assistants WHERE tenant = $1 AND assistant_id = $2 FOR NO KEY UPDATE");
    lock.bind(scope.tenant.as_str()).bind(id.0).execute(&mut *db).await.context(operation)?;
    let there = visible(operation, db, scope, id).await?;
    there.ok_or_else(|| Error::not_found(operation, format!("there is no assistant {id}")))
}

/// Adds the assistant, unless the scope already shows one with this id; the flag is whether it was added. Fails if the
/// id belongs to an assistant that the scope does not show.
async fn add(
    operation: &'static str,
    db: &mut Db,
    scope: &Scope,
    new: NewAssistant,
    now: Timestamp,
) -> Result<(Assistant, bool)> {
    let first = assistant::first(new, now);
    let insert = sqlx::query(
        "INSERT INTO assistants (tenant, assistant_id, version, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    );
    let insert =
        insert.bind(scope.tenant.as_str()).bind(first.assistant_id.0).bind(first.version).bind(now.as_micros());
    if insert.execute(&mut *db).await.context(operation)?.rows_affected() == 1 {
        insert_version(operation, db, scope, &first).await?;
        return Ok((first, true));
    }
    match locked(operation, db, scope, first.assistant_id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(taken_error(operation, first.assistant_id)),
        there => there.map(|there| (there, false)),
    }
}

async fn insert_version(operation: &'static str, db: &mut Db, scope: &Scope, version: &Assistant) -> Result<()> {
    sqlx::query(
        "INSERT INTO assistant_versions (tenant, assistant_id, version, graph_id, graph_folded, name, name_folded, description,
            updated_at, metadata, metadata_search, config, context)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::JSONB, $12, $13)",
    )
    .bind(scope.tenant.as_str())
    .bind(version.assistant_id.0)
    .bind(version.version)
    .bind(&version.graph_id)
    .bind(version.graph_id.to_lowercase())
    .bind(&version.name)
    .bind(version.name.to_lowercase())
    .bind(&version.description)
    .bind(version.updated_at.as_micros())
    .bind(text(&version.metadata)?)
    .bind(searchable(&version.metadata)?)
    .bind(text(&version.config)?)
    .bind(text(&version.context)?)
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

async fn put_in_force(
    operation: &'static str,
    db: &mut Db,
    tenant: &Tenant,
    id: AssistantId,
    version: i64,
) -> Result<()> {
    let update = sqlx::query("UPDATE assistants SET version = $1 WHERE tenant = $2 AND assistant_id = $3");
    update.bind(version).bind(tenant.as_str()).bind(id.0).execute(db).await.context(operation)?;
    Ok(())
}

fn taken_error(operation: &'static str, id: AssistantId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("assistant {id} exists already"))
}

/// Adds the table and the conditions of a query. Returns `false` if the caller must also check each row with
/// [`is_found`].
fn push_found(sql: &mut QueryBuilder<sqlx::Postgres>, scope: &Scope, query: &AssistantQuery) -> Result<bool> {
    sql.push(" FROM assistants a JOIN assistant_versions v USING (tenant, assistant_id, version) WHERE a.tenant = ");
    sql.push_bind(scope.tenant.as_str().to_owned());
    if let Some(graph_id) = &query.graph_id {
        sql.push(" AND v.graph_id = ").push_bind(graph_id.clone());
    }
    if let Some(graphs) = &query.graphs {
        sql.push(" AND v.graph_id = ANY (").push_bind(graphs.clone()).push(")");
    }
    if let Some(name) = query.name.as_ref().filter(|name| !name.is_empty()) {
        sql.push(" AND strpos(v.name_folded, ").push_bind(name.to_lowercase()).push(") > 0");
    }
    conditions::push_contains(sql, "v.metadata_search", &query.metadata)?;
    conditions::push_filter(sql, "v.metadata_search", scope.filter.as_ref())
}

/// Checks the conditions that [`push_found`] may be unable to decide.
fn is_found(scope: &Scope, query: &AssistantQuery, metadata: &JsonMap) -> bool {
    passes(scope, metadata) && contains_all(metadata, &query.metadata)
}

/// Locks and returns the threads that the scope shows and whose metadata names the assistant.
async fn threads_of(operation: &'static str, db: &mut Db, scope: &Scope, id: AssistantId) -> Result<Vec<ThreadId>> {
    let named = JsonMap::from_iter([("assistant_id".to_owned(), id.to_string().into())]);
    let rows = sqlx::query(
        "SELECT thread_id, metadata FROM threads WHERE tenant = $1 AND metadata_search @> $2::JSONB ORDER BY thread_id FOR UPDATE",
    );
    let rows = rows.bind(scope.tenant.as_str()).bind(searchable(&named)?).fetch_all(db).await.context(operation)?;
    let mut threads = Vec::with_capacity(rows.len());
    for row in &rows {
        if passes(scope, &columns::json(row, "metadata")?) {
            threads.push(ThreadId(get(row, "thread_id")?));
        }
    }
    Ok(threads)
}

/// Cancels the runs in flight of an assistant that is deleted.
async fn stop_runs_of(
    operation: &'static str,
    db: &mut Db,
    tenant: &Tenant,
    id: AssistantId,
    now: Timestamp,
) -> Result<Stopped> {
    let rows = sqlx::query(
        "SELECT thread_id, run_id FROM runs WHERE status IN ('pending', 'running') AND assistant_id = $1 AND tenant = $2
         ORDER BY available_at, run_id",
    );
    let rows = rows.bind(id.0).bind(tenant.as_str()).fetch_all(&mut *db).await.context(operation)?;
    let runs = rows.iter().map(|row| Ok((ThreadId(get(row, "thread_id")?), RunId(get(row, "run_id")?))));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    cancel::stop(operation, db, tenant, &runs, &run::assistant_deleted(), now).await
}

/// The result of deleting an assistant, and the runs to signal.
struct Deleted {
    threads: Vec<ThreadId>,
    gone: Vec<RunId>,
    stopped: Stopped,
}

impl Postgres {
    async fn remove_assistant(&self, scope: &Scope, id: AssistantId, threads: Option<&Scope>) -> Result<Deleted> {
        const OPERATION: &str = "assistants.delete";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let named = match threads {
                Some(threads) => threads_of(OPERATION, db, threads, id).await?,
                None => Vec::new(),
            };
            locked(OPERATION, db, scope, id).await?;
            let gone = thread_rows::in_flight(OPERATION, db, &named).await?;
            thread_rows::remove(OPERATION, db, &named).await?;
            let stopped = stop_runs_of(OPERATION, db, &scope.tenant, id, now).await?;
            let delete = sqlx::query("DELETE FROM assistants WHERE tenant = $1 AND assistant_id = $2");
            delete.bind(scope.tenant.as_str()).bind(id.0).execute(&mut *db).await.context(OPERATION)?;
            Ok(Deleted { threads: named, gone, stopped })
        })
        .await
    }
}

#[async_trait]
impl Assistants for Postgres {
    async fn create_assistant(&self, scope: &Scope, new: NewAssistant, if_exists: IfExists) -> Result<Assistant> {
        const OPERATION: &str = "assistants.create";
        let (id, now) = (new.assistant_id, self.now());
        let added = transaction!(self, OPERATION, |db| { add(OPERATION, db, scope, new.clone(), now).await });
        let (assistant, created) = added.await?;
        match if_exists {
            IfExists::Raise if !created => Err(taken_error(OPERATION, id)),
            _ => Ok(assistant),
        }
    }

    async fn sync_system_assistant(&self, scope: &Scope, new: NewAssistant) -> Result<Assistant> {
        const OPERATION: &str = "assistants.sync";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let (name, description) = (new.name.clone(), new.description.clone());
            let (mut there, created) = add(OPERATION, db, scope, new.clone(), now).await?;
            if !created && (there.name != name || there.description != description) {
                let update = sqlx::query(
                    "UPDATE assistant_versions SET name = $1, name_folded = $2, description = $3
                     WHERE tenant = $4 AND assistant_id = $5 AND version = $6",
                );
                let update = update.bind(&name).bind(name.to_lowercase()).bind(&description);
                let update = update.bind(scope.tenant.as_str()).bind(there.assistant_id.0).bind(there.version);
                update.execute(&mut *db).await.context(OPERATION)?;
                there = Assistant { name, description, ..there };
            }
            Ok(there)
        })
        .await
    }

    async fn assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>> {
        const OPERATION: &str = "assistants.get";
        visible(OPERATION, &mut *self.session(OPERATION).await?, scope, id).await
    }

    async fn update_assistant(&self, scope: &Scope, id: AssistantId, patch: AssistantPatch) -> Result<Assistant> {
        const OPERATION: &str = "assistants.update";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let current = locked(OPERATION, db, scope, id).await?;
            let highest = sqlx::query_scalar::<_, i64>(
                "SELECT max(version) FROM assistant_versions WHERE tenant = $1 AND assistant_id = $2",
            );
            let highest =
                highest.bind(scope.tenant.as_str()).bind(id.0).fetch_one(&mut *db).await.context(OPERATION)?;
            let patched = assistant::patched(current, highest + 1, patch.clone(), now);
            insert_version(OPERATION, db, scope, &patched).await?;
            put_in_force(OPERATION, db, &scope.tenant, id, patched.version).await?;
            Ok(patched)
        })
        .await
    }

    async fn delete_assistant(
        &self,
        scope: &Scope,
        id: AssistantId,
        threads: Option<&Scope>,
    ) -> Result<DeletedAssistant> {
        let Deleted { threads, gone, stopped } = self.remove_assistant(scope, id, threads).await?;
        self.stop_deleted(&gone);
        Ok(DeletedAssistant { threads, ended: self.tell(stopped).ended })
    }

    async fn search_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<Page<Assistant>> {
        const OPERATION: &str = "assistants.search";
        let mut sql = QueryBuilder::new(format!("SELECT {ASSISTANT}"));
        let decided = push_found(&mut sql, scope, query)?;
        let direction = columns::direction(query.sort_order);
        let column = match query.sort_by {
            AssistantSort::AssistantId => "a.assistant_id",
            AssistantSort::CreatedAt => "a.created_at",
            AssistantSort::UpdatedAt => "v.updated_at",
            AssistantSort::Name => "v.name_folded",
            AssistantSort::GraphId => "v.graph_folded",
            by => return Err(cannot_sort(OPERATION, by)),
        };
        sql.push(format_args!(" ORDER BY {column} {direction}, a.assistant_id {direction}"));
        if decided {
            columns::push_page(&mut sql, query.offset, query.limit);
        }
        let mut db = self.session(OPERATION).await?;
        let built = sql.build().persistent(false);
        let mut rows = built.fetch(&mut *db);
        let (mut found, offset) = (Vec::new(), if decided { 0 } else { query.offset });
        let wanted = offset as usize + query.limit as usize + 1;
        while found.len() < wanted
            && let Some(row) = rows.try_next().await.context(OPERATION)?
        {
            let assistant = columns::assistant(&row)?;
            if decided || is_found(scope, query, &assistant.metadata) {
                found.push(assistant);
            }
        }
        Ok(page(found, offset, query.limit))
    }

    async fn count_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<u64> {
        const OPERATION: &str = "assistants.count";
        let mut db = self.session(OPERATION).await?;
        let mut sql = QueryBuilder::new("SELECT count(*) AS number");
        if push_found(&mut sql, scope, query)? {
            let row = sql.build().persistent(false).fetch_one(&mut *db).await.context(OPERATION)?;
            return columns::count(&row, "number");
        }
        let mut sql = QueryBuilder::new("SELECT v.metadata");
        push_found(&mut sql, scope, query)?;
        let built = sql.build().persistent(false);
        let mut rows = built.fetch(&mut *db);
        let mut number = 0;
        while let Some(row) = rows.try_next().await.context(OPERATION)? {
            number += u64::from(is_found(scope, query, &columns::json(&row, "metadata")?));
        }
        Ok(number)
    }

    async fn assistant_versions(
        &self,
        scope: &Scope,
        id: AssistantId,
        query: &AssistantVersionQuery,
    ) -> Result<Vec<Assistant>> {
        const OPERATION: &str = "assistants.versions";
        let mut db = self.session(OPERATION).await?;
        if visible(OPERATION, &mut db, scope, id).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::new(format!(
            "SELECT {ASSISTANT} FROM assistants a JOIN assistant_versions v USING (tenant, assistant_id) WHERE a.tenant = "
        ));
        sql.push_bind(scope.tenant.as_str()).push(" AND a.assistant_id = ").push_bind(id.0);
        conditions::push_contains(&mut sql, "v.metadata_search", &query.metadata)?;
        sql.push(" ORDER BY v.version DESC LIMIT ").push_bind(i64::from(query.limit));
        sql.push(" OFFSET ").push_bind(i64::from(query.offset));
        let rows = sql.build().persistent(false).fetch_all(&mut *db).await.context(OPERATION)?;
        rows.iter().map(columns::assistant).collect()
    }

    async fn set_latest_assistant(&self, scope: &Scope, id: AssistantId, version: i64) -> Result<Assistant> {
        const OPERATION: &str = "assistants.set_latest";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            locked(OPERATION, db, scope, id).await?;
            let update = sqlx::query(
                "UPDATE assistant_versions SET updated_at = $1 WHERE tenant = $2 AND assistant_id = $3 AND version = $4",
            );
            let update = update.bind(now.as_micros()).bind(scope.tenant.as_str()).bind(id.0).bind(version);
            if update.execute(&mut *db).await.context(OPERATION)?.rows_affected() == 0 {
                return Err(Error::not_found(OPERATION, format!("the assistant has no version {version}")));
            }
            put_in_force(OPERATION, db, &scope.tenant, id, version).await?;
            // The filter allowed the previous version. The new current version may have other metadata.
            let there = locked(OPERATION, db, &Scope::tenant(scope.tenant.clone()), id).await?;
            Ok(there)
        })
        .await
    }
}
