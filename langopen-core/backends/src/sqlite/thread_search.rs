//! Searching and counting threads.

use futures::{Stream, TryStreamExt};
use langopen_core::error::Result;
use langopen_core::filter::contains_all;
use langopen_core::ids::ThreadId;
use langopen_core::model::{Page, Thread, ThreadQuery, ThreadSort};
use langopen_core::tenant::Scope;
use sqlx::sqlite::{SqliteExecutor, SqliteRow};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::columns::{self, Context, get};
use super::conditions;
use crate::rules::documents::{cannot_sort, page, passes};
use crate::rules::thread::values_contain;

/// A thread's values as a JSON document. Values that nest too deep for SQLite become an empty object.
const VALUES: &str = "iif(json_valid(\"values\"), \"values\", '{}')";

/// The conditions of a query.
struct Conditions<'q> {
    scope: &'q Scope,
    query: &'q ThreadQuery,
    /// Whether SQL decides all conditions. If not, [`Conditions::hold`] must check each row.
    decided: bool,
}

impl<'q> Conditions<'q> {
    /// Adds the table and the conditions.
    fn push(sql: &mut QueryBuilder<Sqlite>, scope: &'q Scope, query: &'q ThreadQuery) -> Result<Self> {
        sql.push(" FROM threads WHERE tenant = ").push_bind(scope.tenant.as_str());
        if let Some(ids) = &query.ids {
            sql.push(" AND thread_id IN (SELECT unhex(value) FROM json_each(");
            sql.push_bind(columns::id_list(ids.iter().map(|id| id.0))?).push("))");
        }
        if let Some(status) = query.status {
            sql.push(" AND status = ").push_bind(status.as_str());
        }
        let mut decided = conditions::push_filter(sql, "metadata", scope.filter.as_ref());
        decided &= conditions::push_contains(sql, "metadata", &query.metadata);
        if !query.values.is_empty() {
            sql.push(" AND \"values\" IS NOT NULL");
            decided &= conditions::push_contains(sql, VALUES, &query.values);
        }
        Ok(Self { scope, query, decided })
    }

    /// Whether other queries are likely to use the same SQL text.
    fn is_common(&self) -> bool {
        self.scope.filter.is_none() && self.query.metadata.is_empty() && self.query.values.is_empty()
    }

    fn hold(&self, row: &SqliteRow) -> Result<bool> {
        if self.decided {
            return Ok(true);
        }
        let metadata = columns::json(row, "metadata")?;
        Ok(passes(self.scope, &metadata)
            && contains_all(&metadata, &self.query.metadata)
            && values_contain(columns::raw_or_null(row, "values")?.as_ref(), &self.query.values))
    }
}

/// The columns that [`Conditions::hold`] needs.
fn documents(decided: bool) -> &'static str {
    if decided { "" } else { ", metadata, \"values\"" }
}

/// Whether SQL decides all conditions of a query.
fn is_decided(scope: &Scope, query: &ThreadQuery) -> Result<bool> {
    Conditions::push(&mut QueryBuilder::new(""), scope, query).map(|conditions| conditions.decided)
}

fn rows<'e>(
    sql: &'e mut QueryBuilder<Sqlite>,
    conditions: &Conditions<'_>,
    db: impl SqliteExecutor<'e> + 'e,
) -> impl Stream<Item = sqlx::Result<SqliteRow>> + Unpin + 'e {
    // The client's filter shapes some SQL texts. Those must not evict the common statements from the statement cache.
    sql.build().persistent(conditions.is_common()).fetch(db)
}

pub(super) async fn search(db: &SqlitePool, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>> {
    const OPERATION: &str = "threads.search";
    let column = match query.sort_by {
        ThreadSort::ThreadId => "thread_id",
        ThreadSort::Status => "status",
        ThreadSort::CreatedAt => "created_at",
        ThreadSort::UpdatedAt => "updated_at",
        ThreadSort::StateUpdatedAt => "state_updated_at",
        by => return Err(cannot_sort(OPERATION, by)),
    };
    let direction = columns::direction(query.sort_order);
    let decided = is_decided(scope, query)?;
    // Selects ids first, because sorting whole rows would copy all values. All reads of one transaction see the same
    // snapshot.
    let mut db = db.begin().await.context(OPERATION)?;
    let mut sql = QueryBuilder::new(format!("SELECT thread_id{}", documents(decided)));
    let conditions = Conditions::push(&mut sql, scope, query)?;
    sql.push(format_args!(" ORDER BY {column} {direction}, thread_id {direction}"));
    if decided {
        columns::push_page(&mut sql, query.offset, query.limit);
    }
    let offset = if decided { 0 } else { query.offset };
    let wanted = offset as usize + query.limit as usize + 1;
    let mut found = Vec::new();
    {
        let mut rows = rows(&mut sql, &conditions, &mut *db);
        while found.len() < wanted
            && let Some(row) = rows.try_next().await.context(OPERATION)?
        {
            if conditions.hold(&row)? {
                found.push(ThreadId(get(&row, "thread_id")?));
            }
        }
    }
    let Page { items: ids, more } = page(found, offset, query.limit);
    let rows =
        sqlx::query("SELECT t.* FROM json_each(?) i JOIN threads t ON t.thread_id = unhex(i.value) ORDER BY i.id");
    let rows = rows.bind(columns::id_list(ids.iter().map(|id| id.0))?).fetch_all(&mut *db).await.context(OPERATION)?;
    Ok(Page { items: rows.iter().map(columns::thread).collect::<Result<_>>()?, more })
}

pub(super) async fn count(db: &SqlitePool, scope: &Scope, query: &ThreadQuery) -> Result<u64> {
    const OPERATION: &str = "threads.count";
    let decided = is_decided(scope, query)?;
    let mut sql = QueryBuilder::new(match decided {
        true => "SELECT count(*) AS number",
        false => "SELECT 1 AS number, metadata, \"values\"",
    });
    let conditions = Conditions::push(&mut sql, scope, query)?;
    let mut rows = rows(&mut sql, &conditions, db);
    let mut number = 0;
    while let Some(row) = rows.try_next().await.context(OPERATION)? {
        if conditions.hold(&row)? {
            number += get::<u64>(&row, "number")?;
        }
    }
    Ok(number)
}
