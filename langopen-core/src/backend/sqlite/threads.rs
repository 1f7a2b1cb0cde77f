use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};
use sqlx::{QueryBuilder, Row};

use super::Sqlite;
use super::checkpoint_rows;
use super::columns::{self, Context, get};
use super::thread_rows::{self, not_found};
use crate::backend::rules::documents::{merge, page, passes};
use crate::backend::rules::thread::{self, StateChange, ThreadChange};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::contains_all;
use crate::ids::{RunId, ThreadId};
use crate::json::RawJson;
use crate::model::{
    IfExists, NewThread, Page, SortOrder, Thread, ThreadPatch, ThreadQuery, ThreadSort, ThreadState, ThreadStatus,
};
use crate::storage::Threads;
use crate::tenant::Scope;

fn taken(operation: &'static str, id: ThreadId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("thread {id} exists already"))
}

fn order(query: &ThreadQuery) -> String {
    let column = match query.sort_by {
        ThreadSort::ThreadId => "thread_id",
        ThreadSort::Status => "status",
        ThreadSort::CreatedAt => "created_at",
        ThreadSort::UpdatedAt => "updated_at",
        ThreadSort::StateUpdatedAt => "state_updated_at",
    };
    let direction = match query.sort_order {
        SortOrder::Asc => "ASC",
        SortOrder::Desc => "DESC",
    };
    format!(" ORDER BY {column} {direction}, thread_id {direction}")
}

/// The ids of the threads that a query finds, in order, one page of them.
///
/// What SQL cannot decide as [`contains_all`] does is decided here, row by row, up to the end of the page.
async fn find(db: &Sqlite, scope: &Scope, query: &ThreadQuery) -> Result<Page<ThreadId>> {
    const OPERATION: &str = "threads.search";
    let decided = scope.filter.is_none() && query.metadata.is_empty() && query.values.is_empty();
    let mut sql = QueryBuilder::<sqlx::Sqlite>::new("SELECT thread_id, ");
    // The index alone answers what SQL decides.
    sql.push(if decided { "NULL AS metadata, " } else { "metadata, " });
    sql.push(if query.values.is_empty() { "NULL AS \"values\"" } else { "\"values\"" });
    sql.push(" FROM threads WHERE tenant = ").push_bind(scope.tenant.as_str());
    if let Some(ids) = &query.ids {
        sql.push(" AND thread_id IN (SELECT unhex(value) FROM json_each(");
        sql.push_bind(columns::id_list(ids.iter().map(|id| id.0))?).push("))");
    }
    if let Some(status) = query.status {
        sql.push(" AND status = ").push_bind(status.as_str());
    }
    if !query.values.is_empty() {
        sql.push(" AND \"values\" IS NOT NULL");
    }
    sql.push(order(query));
    if decided {
        sql.push(" LIMIT ").push_bind(i64::from(query.limit) + 1).push(" OFFSET ").push_bind(query.offset);
    }
    let offset = if decided { 0 } else { query.offset };
    let wanted = offset as usize + query.limit as usize + 1;
    let mut found = Vec::new();
    let query_rows = sql.build();
    let mut rows = query_rows.fetch(db.readers());
    while let Some(row) = rows.try_next().await.context(OPERATION)? {
        let fits = decided || {
            let metadata = columns::json(&row, "metadata")?;
            passes(scope, &metadata)
                && contains_all(&metadata, &query.metadata)
                && thread::values_contain(columns::raw_or_null(&row, "values")?.as_ref(), &query.values)
        };
        if fits {
            found.push(ThreadId(get(&row, "thread_id")?));
        }
        if found.len() == wanted {
            break;
        }
    }
    Ok(page(found, offset, query.limit))
}

#[async_trait]
impl Threads for Sqlite {
    async fn create_thread(&self, scope: &Scope, new: NewThread, if_exists: IfExists) -> Result<Thread> {
        const OPERATION: &str = "threads.create";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let id = new.thread_id;
                if thread_rows::exists(OPERATION, db, id).await? {
                    let there = match if_exists {
                        IfExists::DoNothing => thread_rows::visible(OPERATION, db, &scope, id).await?,
                        IfExists::Raise => None,
                    };
                    return there.ok_or_else(|| taken(OPERATION, id));
                }
                let thread = thread::row(id, new.metadata, Default::default(), now);
                thread_rows::insert(OPERATION, db, &scope.tenant, &thread).await?;
                Ok(thread)
            }
            .boxed()
        })
        .await
    }

    async fn thread(&self, scope: &Scope, id: ThreadId) -> Result<Option<Thread>> {
        thread_rows::visible("threads.get", self.readers(), scope, id).await
    }

    async fn update_thread(&self, scope: &Scope, id: ThreadId, patch: ThreadPatch) -> Result<Thread> {
        const OPERATION: &str = "threads.update";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let thread = thread_rows::visible(OPERATION, &mut *db, &scope, id).await?;
                let mut thread = thread.ok_or_else(|| not_found(OPERATION, id))?;
                merge(&mut thread.metadata, patch.metadata);
                thread.updated_at = now;
                thread_rows::set_metadata(OPERATION, db, id, &thread.metadata, now).await?;
                Ok(thread)
            }
            .boxed()
        })
        .await
    }

    async fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<Vec<RunId>> {
        const OPERATION: &str = "threads.delete";
        let scope = scope.clone();
        let gone = self.write_whole(OPERATION, move |db| {
            async move {
                thread_rows::must_be_visible(OPERATION, db, &scope, id).await?;
                let runs = thread_rows::in_flight(OPERATION, db, id).await?;
                thread_rows::remove(OPERATION, db, id).await?;
                Ok(runs)
            }
            .boxed()
        });
        let gone = gone.await?;
        self.stop_deleted(&gone);
        Ok(gone)
    }

    async fn search_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>> {
        let Page { items, more } = find(self, scope, query).await?;
        let sql = "SELECT * FROM threads WHERE tenant = ? AND thread_id IN (SELECT unhex(value) FROM json_each(?))";
        let ids = columns::id_list(items.iter().map(|id| id.0))?;
        let rows = sqlx::query(sql).bind(scope.tenant.as_str()).bind(ids).fetch_all(self.readers()).await;
        let mut threads: Vec<_> = rows.context("threads.search")?.iter().map(columns::thread).collect::<Result<_>>()?;
        threads.sort_by_key(|thread| items.iter().position(|id| *id == thread.thread_id));
        Ok(Page { items: threads, more })
    }

    async fn copy_thread(&self, scope: &Scope, source: ThreadId, new: ThreadId) -> Result<Thread> {
        const OPERATION: &str = "threads.copy";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let there = thread_rows::visible(OPERATION, &mut *db, &scope, source).await?;
                let there = there.ok_or_else(|| not_found(OPERATION, source))?;
                if thread_rows::exists(OPERATION, db, new).await? {
                    return Err(taken(OPERATION, new));
                }
                let mut copy = thread::row(new, there.metadata, there.config, now);
                copy.values = there.values;
                thread_rows::insert(OPERATION, db, &scope.tenant, &copy).await?;
                checkpoint_rows::copy(OPERATION, db, source, new).await?;
                Ok(copy)
            }
            .boxed()
        })
        .await
    }

    async fn latest_state(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadState>> {
        let row = sqlx::query(
            "SELECT metadata, state_checkpoint_id, state_rest, \"values\" FROM threads t
             WHERE thread_id = ? AND tenant = ? AND \"values\" IS NOT NULL AND state_checkpoint_id =
                (SELECT max(checkpoint_id) FROM checkpoints c WHERE c.thread_id = t.thread_id AND checkpoint_ns = '')",
        );
        let row = row.bind(id.0).bind(scope.tenant.as_str()).fetch_optional(self.readers()).await;
        let Some(row) = row.context("threads.latest_state")? else { return Ok(None) };
        if !passes(scope, &columns::json(&row, "metadata")?) {
            return Ok(None);
        }
        let (values, rest) = (columns::raw(&row, "values")?, columns::raw(&row, "state_rest")?);
        Ok(Some(ThreadState { checkpoint_id: get(&row, "state_checkpoint_id")?, values, rest }))
    }

    async fn set_thread_state(
        &self,
        scope: &Scope,
        id: ThreadId,
        status: ThreadStatus,
        interrupts: RawJson,
        state: ThreadState,
    ) -> Result<Thread> {
        const OPERATION: &str = "threads.set_state";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let there = thread_rows::visible(OPERATION, &mut *db, &scope, id).await?;
                let mut thread = there.ok_or_else(|| not_found(OPERATION, id))?;
                let in_flight = sqlx::query(
                    "SELECT EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND status = 'running')
                         OR EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND status = 'pending')",
                );
                let in_flight = in_flight.bind(id.0).fetch_one(&mut *db).await.context(OPERATION)?;
                if in_flight.try_get(0).context(OPERATION)? {
                    return Err(Error::conflict(OPERATION, format!("a run is in flight on thread {id}")));
                }
                let change = ThreadChange {
                    status,
                    error: thread.error.clone(),
                    interrupts,
                    values: Some(state.values),
                    state: StateChange::Set { checkpoint_id: state.checkpoint_id, rest: state.rest },
                };
                thread_rows::apply(OPERATION, db, id, &change, now).await?;
                (thread.status, thread.updated_at, thread.state_updated_at) = (change.status, now, now);
                (thread.interrupts, thread.values) = (Some(change.interrupts), change.values);
                Ok(thread)
            }
            .boxed()
        })
        .await
    }
}
