use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::filter::contains_all;
use langopen_core::ids::{AssistantId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{
    Assistant, AssistantPatch, AssistantQuery, AssistantSort, AssistantVersionQuery, IfExists, NewAssistant, Page,
};
use langopen_core::storage::{Assistants, DeletedAssistant};
use langopen_core::tenant::{Scope, Tenant};
use sqlx::sqlite::SqliteExecutor;
use sqlx::{QueryBuilder, SqliteConnection};
use uuid::Uuid;

use super::Sqlite;
use super::columns::{self, Context, get, text};
use super::conditions;
use super::queue::cancel::{self, Stopped};
use super::thread_rows;
use crate::rules::documents::{cannot_sort, page, passes};
use crate::rules::{assistant, run};

/// The current version of the assistant, if the scope shows it.
async fn visible<'e>(
    operation: &'static str,
    db: impl SqliteExecutor<'e>,
    scope: &Scope,
    id: AssistantId,
) -> Result<Option<Assistant>> {
    let row = sqlx::query(
        "SELECT v.*, a.created_at FROM assistants a JOIN assistant_versions v USING (tenant, assistant_id, version)
         WHERE a.tenant = ? AND a.assistant_id = ?",
    )
    .bind(scope.tenant.as_str())
    .bind(id.0)
    .fetch_optional(db)
    .await
    .context(operation)?;
    let assistant = row.as_ref().map(columns::assistant).transpose()?;
    Ok(assistant.filter(|assistant| passes(scope, &assistant.metadata)))
}

async fn must_exist(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: &Scope,
    id: AssistantId,
) -> Result<Assistant> {
    let there = visible(operation, db, scope, id).await?;
    there.ok_or_else(|| Error::not_found(operation, format!("there is no assistant {id}")))
}

/// Adds the assistant, unless the scope already shows one with this id; the flag is whether it was added. Fails if the
/// id belongs to an assistant that the scope does not show.
async fn add(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: &Scope,
    new: NewAssistant,
    now: Timestamp,
) -> Result<(Assistant, bool)> {
    let id = new.assistant_id;
    if let Some(there) = visible(operation, &mut *db, scope, id).await? {
        return Ok((there, false));
    }
    let taken = sqlx::query("SELECT 1 FROM assistants WHERE tenant = ? AND assistant_id = ?");
    let taken = taken.bind(scope.tenant.as_str()).bind(id.0);
    if taken.fetch_optional(&mut *db).await.context(operation)?.is_some() {
        return Err(taken_error(operation, id));
    }
    let first = assistant::first(new, now);
    let insert = sqlx::query("INSERT INTO assistants (tenant, assistant_id, version, created_at) VALUES (?, ?, ?, ?)")
        .bind(scope.tenant.as_str())
        .bind(id.0)
        .bind(first.version)
        .bind(now.as_micros());
    insert.execute(&mut *db).await.context(operation)?;
    insert_version(operation, db, scope, &first).await?;
    Ok((first, true))
}

async fn insert_version(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: &Scope,
    version: &Assistant,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO assistant_versions
         (tenant, assistant_id, version, graph_id, graph_folded, name, name_folded, description, updated_at, metadata, config, context)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
    .bind(text(&version.config)?)
    .bind(text(&version.context)?)
    .execute(db)
    .await
    .context(operation)?;
    Ok(())
}

async fn put_in_force(
    operation: &'static str,
    db: &mut SqliteConnection,
    tenant: &Tenant,
    id: AssistantId,
    version: i64,
) -> Result<()> {
    let update = sqlx::query("UPDATE assistants SET version = ? WHERE tenant = ? AND assistant_id = ?");
    update.bind(version).bind(tenant.as_str()).bind(id.0).execute(db).await.context(operation)?;
    Ok(())
}

fn taken_error(operation: &'static str, id: AssistantId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("assistant {id} exists already"))
}

/// Adds the table and the conditions of a query. Returns `false` if the caller must also check each row with
/// [`is_found`].
fn push_found(sql: &mut QueryBuilder<sqlx::Sqlite>, scope: &Scope, query: &AssistantQuery) -> Result<bool> {
    sql.push(" FROM assistants a JOIN assistant_versions v USING (tenant, assistant_id, version) WHERE a.tenant = ");
    sql.push_bind(scope.tenant.as_str().to_owned());
    if let Some(graph_id) = &query.graph_id {
        sql.push(" AND v.graph_id = ").push_bind(graph_id.clone());
    }
    if let Some(graphs) = &query.graphs {
        sql.push(" AND v.graph_id IN (SELECT value FROM json_each(").push_bind(text(graphs)?).push("))");
    }
    if let Some(name) = query.name.as_ref().filter(|name| !name.is_empty()) {
        sql.push(" AND instr(v.name_folded, ").push_bind(name.to_lowercase()).push(") > 0");
    }
    let filtered = conditions::push_filter(sql, "v.metadata", scope.filter.as_ref());
    Ok(conditions::push_contains(sql, "v.metadata", &query.metadata) && filtered)
}

/// Checks the conditions that [`push_found`] may be unable to decide.
fn is_found(scope: &Scope, query: &AssistantQuery, metadata: &JsonMap) -> bool {
    passes(scope, metadata) && contains_all(metadata, &query.metadata)
}

/// The threads that the scope shows and whose metadata names the assistant.
async fn threads_of(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: &Scope,
    id: AssistantId,
) -> Result<Vec<Uuid>> {
    let rows = sqlx::query(
        "SELECT thread_id, metadata FROM threads WHERE tenant = ? AND json_extract(metadata, '$.assistant_id') = ?",
    );
    let rows = rows.bind(scope.tenant.as_str()).bind(id.to_string()).fetch_all(db).await.context(operation)?;
    let mut threads = Vec::with_capacity(rows.len());
    for row in &rows {
        if passes(scope, &columns::json(row, "metadata")?) {
            threads.push(get(row, "thread_id")?);
        }
    }
    Ok(threads)
}

/// Cancels the runs in flight of an assistant that is deleted.
async fn stop_runs_of(
    operation: &'static str,
    db: &mut SqliteConnection,
    tenant: &Tenant,
    id: AssistantId,
    now: Timestamp,
) -> Result<Stopped> {
    // Pending runs come first. Otherwise the end of one run could make the next run of its thread start.
    let rows = sqlx::query(
        "SELECT thread_id, run_id FROM runs WHERE status = 'pending' AND assistant_id = ?1 AND tenant = ?2
         UNION ALL SELECT thread_id, run_id FROM runs WHERE status = 'running' AND assistant_id = ?1 AND tenant = ?2",
    );
    let rows = rows.bind(id.0).bind(tenant.as_str()).fetch_all(&mut *db).await.context(operation)?;
    cancel::stop(operation, db, tenant, &rows, &run::assistant_deleted(), now).await
}

#[async_trait]
impl Assistants for Sqlite {
    async fn create_assistant(&self, scope: &Scope, new: NewAssistant, if_exists: IfExists) -> Result<Assistant> {
        const OPERATION: &str = "assistants.create";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let id = new.assistant_id;
                match add(OPERATION, db, &scope, new, now).await? {
                    (_, false) if if_exists == IfExists::Raise => Err(taken_error(OPERATION, id)),
                    (assistant, _) => Ok(assistant),
                }
            }
            .boxed()
        })
        .await
    }

    async fn sync_system_assistant(&self, scope: &Scope, new: NewAssistant) -> Result<Assistant> {
        const OPERATION: &str = "assistants.sync";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let (name, description) = (new.name.clone(), new.description.clone());
                let (there, created) = add(OPERATION, db, &scope, new, now).await?;
                if created || (there.name == name && there.description == description) {
                    return Ok(there);
                }
                sqlx::query(
                    "UPDATE assistant_versions SET name = ?, name_folded = ?, description = ?
                     WHERE tenant = ? AND assistant_id = ? AND version = ?",
                )
                .bind(&name)
                .bind(name.to_lowercase())
                .bind(&description)
                .bind(scope.tenant.as_str())
                .bind(there.assistant_id.0)
                .bind(there.version)
                .execute(db)
                .await
                .context(OPERATION)?;
                Ok(Assistant { name, description, ..there })
            }
            .boxed()
        })
        .await
    }

    async fn assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>> {
        visible("assistants.get", self.readers(), scope, id).await
    }

    async fn update_assistant(&self, scope: &Scope, id: AssistantId, patch: AssistantPatch) -> Result<Assistant> {
        const OPERATION: &str = "assistants.update";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let current = must_exist(OPERATION, db, &scope, id).await?;
                let highest = sqlx::query(
                    "SELECT max(version) AS version FROM assistant_versions WHERE tenant = ? AND assistant_id = ?",
                );
                let highest =
                    highest.bind(scope.tenant.as_str()).bind(id.0).fetch_one(&mut *db).await.context(OPERATION)?;
                let highest: i64 = get(&highest, "version")?;
                let patched = assistant::patched(current, highest + 1, patch, now);
                insert_version(OPERATION, db, &scope, &patched).await?;
                put_in_force(OPERATION, db, &scope.tenant, id, patched.version).await?;
                Ok(patched)
            }
            .boxed()
        })
        .await
    }

    async fn delete_assistant(
        &self,
        scope: &Scope,
        id: AssistantId,
        threads: Option<&Scope>,
    ) -> Result<DeletedAssistant> {
        const OPERATION: &str = "assistants.delete";
        let (scope, threads, now) = (scope.clone(), threads.cloned(), self.now());
        let job = self.write(OPERATION, move |db| {
            async move {
                must_exist(OPERATION, db, &scope, id).await?;
                let named = match threads {
                    Some(threads) => threads_of(OPERATION, db, &threads, id).await?,
                    None => Vec::new(),
                };
                let mut gone = Vec::new();
                for thread_id in &named {
                    gone.extend(thread_rows::in_flight(OPERATION, db, ThreadId(*thread_id)).await?);
                }
                let delete =
                    sqlx::query("DELETE FROM threads WHERE thread_id IN (SELECT unhex(value) FROM json_each(?))");
                delete.bind(columns::id_list(named.iter().copied())?).execute(&mut *db).await.context(OPERATION)?;
                let cancelled = stop_runs_of(OPERATION, db, &scope.tenant, id, now).await?;
                let delete = sqlx::query("DELETE FROM assistants WHERE tenant = ? AND assistant_id = ?");
                delete.bind(scope.tenant.as_str()).bind(id.0).execute(db).await.context(OPERATION)?;
                Ok((named, gone, cancelled))
            }
            .boxed()
        });
        let (threads, gone, cancelled) = job.await?;
        self.stop_deleted(&gone);
        let threads = threads.into_iter().map(ThreadId).collect();
        Ok(DeletedAssistant { threads, ended: self.tell(cancelled).ended })
    }

    async fn search_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<Page<Assistant>> {
        const OPERATION: &str = "assistants.search";
        let mut sql = QueryBuilder::new("SELECT v.*, a.created_at");
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
        let built = sql.build().persistent(false);
        let mut rows = built.fetch(self.readers());
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
        let mut sql = QueryBuilder::new("SELECT count(*) AS number");
        if push_found(&mut sql, scope, query)? {
            let row = sql.build().persistent(false).fetch_one(self.readers()).await.context(OPERATION)?;
            return get(&row, "number");
        }
        let mut sql = QueryBuilder::new("SELECT v.metadata");
        let _ = push_found(&mut sql, scope, query)?;
        let built = sql.build().persistent(false);
        let mut rows = built.fetch(self.readers());
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
        let mut db = self.readers().begin().await.context(OPERATION)?;
        if visible(OPERATION, &mut *db, scope, id).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::new(
            "SELECT v.*, a.created_at FROM assistants a JOIN assistant_versions v USING (tenant, assistant_id) WHERE a.tenant = ",
        );
        sql.push_bind(scope.tenant.as_str().to_owned()).push(" AND a.assistant_id = ").push_bind(id.0);
        let decided = conditions::push_contains(&mut sql, "v.metadata", &query.metadata);
        sql.push(" ORDER BY v.version DESC");
        if decided {
            columns::push_page(&mut sql, query.offset, query.limit);
        }
        let built = sql.build().persistent(false);
        let mut rows = built.fetch(&mut *db);
        let (mut found, offset) = (Vec::new(), if decided { 0 } else { query.offset as usize });
        while found.len() < offset + query.limit as usize
            && let Some(row) = rows.try_next().await.context(OPERATION)?
        {
            let version = columns::assistant(&row)?;
            if decided || contains_all(&version.metadata, &query.metadata) {
                found.push(version);
            }
        }
        Ok(found.split_off(offset.min(found.len())))
    }

    async fn set_latest_assistant(&self, scope: &Scope, id: AssistantId, version: i64) -> Result<Assistant> {
        const OPERATION: &str = "assistants.set_latest";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                must_exist(OPERATION, db, &scope, id).await?;
                let update = sqlx::query(
                    "UPDATE assistant_versions SET updated_at = ? WHERE tenant = ? AND assistant_id = ? AND version = ?",
                );
                let update = update.bind(now.as_micros()).bind(scope.tenant.as_str()).bind(id.0).bind(version);
                if update.execute(&mut *db).await.context(OPERATION)?.rows_affected() == 0 {
                    return Err(Error::not_found(OPERATION, format!("the assistant has no version {version}")));
                }
                put_in_force(OPERATION, db, &scope.tenant, id, version).await?;
                // The filter allowed the previous version. The new current version may have other metadata.
                must_exist(OPERATION, db, &Scope::tenant(scope.tenant.clone()), id).await
            }
            .boxed()
        })
        .await
    }
}
