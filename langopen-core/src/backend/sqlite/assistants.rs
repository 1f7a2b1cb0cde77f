use async_trait::async_trait;
use futures::FutureExt;
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteExecutor, SqliteRow};

use super::Sqlite;
use super::columns::{self, Context, get, text};
use super::thread_rows;
use crate::backend::rules::{assistant, documents::passes};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::contains_all;
use crate::ids::{AssistantId, RunId, ThreadId};
use crate::json::JsonMap;
use crate::model::{Assistant, AssistantPatch, AssistantQuery, IfExists, NewAssistant, Page};
use crate::storage::Assistants;
use crate::tenant::Scope;

/// The version in force, if the scope shows it.
async fn visible<'e>(
    operation: &'static str,
    db: impl SqliteExecutor<'e>,
    scope: &Scope,
    id: AssistantId,
) -> Result<Option<Assistant>> {
    let row = sqlx::query(
        "SELECT v.*, a.created_at FROM assistants a JOIN assistant_versions v USING (assistant_id, version)
         WHERE a.assistant_id = ? AND a.tenant = ?",
    )
    .bind(id.0)
    .bind(scope.tenant.as_str())
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

/// What is there under this id: nothing (the new one is kept), a row of the scope, or a foreign row, which is an error.
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
    let taken = sqlx::query("SELECT 1 FROM assistants WHERE assistant_id = ?").bind(id.0);
    if taken.fetch_optional(&mut *db).await.context(operation)?.is_some() {
        return Err(taken_error(operation, id));
    }
    let first = assistant::first(new, now);
    let insert = sqlx::query("INSERT INTO assistants (assistant_id, tenant, version, created_at) VALUES (?, ?, ?, ?)")
        .bind(id.0)
        .bind(scope.tenant.as_str())
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
         (assistant_id, version, tenant, graph_id, name, description, updated_at, metadata, config, context)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(version.assistant_id.0)
    .bind(version.version)
    .bind(scope.tenant.as_str())
    .bind(&version.graph_id)
    .bind(&version.name)
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

async fn put_in_force(operation: &'static str, db: &mut SqliteConnection, id: AssistantId, version: i64) -> Result<()> {
    let update = sqlx::query("UPDATE assistants SET version = ? WHERE assistant_id = ?").bind(version).bind(id.0);
    update.execute(db).await.context(operation)?;
    Ok(())
}

fn taken_error(operation: &'static str, id: AssistantId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("assistant {id} exists already"))
}

fn decoded(rows: Vec<SqliteRow>) -> Result<Vec<Assistant>> {
    rows.iter().map(columns::assistant).collect()
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
                    "UPDATE assistant_versions SET name = ?, description = ? WHERE assistant_id = ? AND version = ?",
                )
                .bind(&name)
                .bind(&description)
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
                let highest =
                    sqlx::query("SELECT max(version) AS version FROM assistant_versions WHERE assistant_id = ?");
                let highest = highest.bind(id.0).fetch_one(&mut *db).await.context(OPERATION)?;
                let highest: i64 = get(&highest, "version")?;
                let patched = assistant::patched(current, highest + 1, patch, now);
                insert_version(OPERATION, db, &scope, &patched).await?;
                put_in_force(OPERATION, db, id, patched.version).await?;
                Ok(patched)
            }
            .boxed()
        })
        .await
    }

    async fn delete_assistant(&self, scope: &Scope, id: AssistantId, delete_threads: bool) -> Result<Vec<RunId>> {
        const OPERATION: &str = "assistants.delete";
        let scope = scope.clone();
        let gone = self.write(OPERATION, move |db| {
            async move {
                must_exist(OPERATION, db, &scope, id).await?;
                let (mut threads, mut runs) = (Vec::new(), Vec::new());
                if delete_threads {
                    let rows = sqlx::query(
                        "SELECT thread_id, metadata FROM threads WHERE tenant = ? AND json_extract(metadata, '$.assistant_id') = ?",
                    );
                    let rows = rows.bind(scope.tenant.as_str()).bind(id.to_string());
                    for row in rows.fetch_all(&mut *db).await.context(OPERATION)? {
                        if passes(&scope, &columns::json(&row, "metadata")?) {
                            let thread_id = get(&row, "thread_id")?;
                            runs.extend(thread_rows::in_flight(OPERATION, db, ThreadId(thread_id)).await?);
                            threads.push(thread_id);
                        }
                    }
                }
                let delete = sqlx::query("DELETE FROM assistants WHERE assistant_id = ?").bind(id.0);
                delete.execute(&mut *db).await.context(OPERATION)?;
                let threads = columns::id_list(threads)?;
                let delete = sqlx::query("DELETE FROM threads WHERE thread_id IN (SELECT unhex(value) FROM json_each(?))");
                delete.bind(threads).execute(db).await.context(OPERATION)?;
                Ok(runs)
            }
            .boxed()
        });
        let gone = gone.await?;
        self.stop_deleted(&gone);
        Ok(gone)
    }

    async fn search_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<Page<Assistant>> {
        let rows = sqlx::query(
            "SELECT v.*, a.created_at FROM assistants a JOIN assistant_versions v USING (assistant_id, version)
             WHERE a.tenant = ?1 AND (?2 IS NULL OR v.graph_id = ?2)",
        )
        .bind(scope.tenant.as_str())
        .bind(&query.graph_id)
        .fetch_all(self.readers())
        .await
        .context("assistants.search")?;
        let visible = decoded(rows)?.into_iter().filter(|assistant| passes(scope, &assistant.metadata));
        Ok(assistant::search(visible, query))
    }

    async fn assistant_versions(
        &self,
        scope: &Scope,
        id: AssistantId,
        metadata: &JsonMap,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<Assistant>> {
        const OPERATION: &str = "assistants.versions";
        if visible(OPERATION, self.readers(), scope, id).await?.is_none() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT v.*, a.created_at FROM assistants a JOIN assistant_versions v USING (assistant_id)
             WHERE a.assistant_id = ? AND a.tenant = ? ORDER BY v.version DESC",
        );
        let rows = rows.bind(id.0).bind(scope.tenant.as_str()).fetch_all(self.readers()).await.context(OPERATION)?;
        let found = decoded(rows)?.into_iter().filter(|version| contains_all(&version.metadata, metadata));
        Ok(found.skip(offset as usize).take(limit as usize).collect())
    }

    async fn set_latest_assistant(&self, scope: &Scope, id: AssistantId, version: i64) -> Result<Assistant> {
        const OPERATION: &str = "assistants.set_latest";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                must_exist(OPERATION, db, &scope, id).await?;
                let update =
                    sqlx::query("UPDATE assistant_versions SET updated_at = ? WHERE assistant_id = ? AND version = ?");
                let update = update.bind(now.as_micros()).bind(id.0).bind(version);
                if update.execute(&mut *db).await.context(OPERATION)?.rows_affected() == 0 {
                    return Err(Error::not_found(OPERATION, format!("the assistant has no version {version}")));
                }
                put_in_force(OPERATION, db, id, version).await?;
                // The filter allowed the version that was in force; this one may have other metadata.
                must_exist(OPERATION, db, &Scope::tenant(scope.tenant.clone()), id).await
            }
            .boxed()
        })
        .await
    }
}
