//! Searching and counting threads.

use futures::{Stream, TryStreamExt};
use langopen_core::error::Result;
use langopen_core::ids::ThreadId;
use langopen_core::model::{Page, Thread, ThreadQuery, ThreadSort};
use langopen_core::tenant::Scope;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, QueryBuilder};

use super::Postgres;
use super::columns::{self, Context, THREAD, get};
use super::conditions::{self, weakened};
use super::session::Db;
use super::thread_rows::uuids;
use crate::rules::documents::{cannot_sort, page, passes};
use crate::rules::thread::values_contain;

/// The conditions of a query.
struct Conditions<'q> {
    scope: &'q Scope,
    query: &'q ThreadQuery,
    /// Whether SQL decides all conditions. If not, [`Conditions::hold`] must check each row.
    decided: bool,
}

impl<'q> Conditions<'q> {
    /// Adds the table and the conditions.
    fn push(sql: &mut QueryBuilder<sqlx::Postgres>, scope: &'q Scope, query: &'q ThreadQuery) -> Result<Self> {
        sql.push(" FROM threads WHERE tenant = ").push_bind(scope.tenant.as_str());
        if let Some(ids) = &query.ids {
            sql.push(" AND thread_id = ANY (").push_bind(uuids(ids)).push(")");
        }
        if let Some(status) = query.status {
            sql.push(" AND status = ").push_bind(status.as_str());
        }
        let decided = conditions::push_filter(sql, "metadata_search", scope.filter.as_ref())?;
        conditions::push_contains(sql, "metadata_search", &query.metadata)?;
        if !query.values.is_empty() {
            sql.push(" AND \"values\" IS NOT NULL AND langopen_may_contain(\"values\", ");
            sql.push_bind(columns::text(&weakened(&query.values))?).push("::JSONB)");
        }
        Ok(Self { scope, query, decided: decided && query.values.is_empty() })
    }

    /// Whether other queries are likely to use the same SQL text.
    fn is_common(&self) -> bool {
        self.scope.filter.is_none()
    }

    fn hold(&self, row: &PgRow) -> Result<bool> {
        if self.decided {
            return Ok(true);
        }
        Ok(passes(self.scope, &columns::json(row, "metadata")?)
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
    sql: &'e mut QueryBuilder<sqlx::Postgres>,
    conditions: &Conditions<'_>,
    db: &'e mut Db,
) -> impl Stream<Item = sqlx::Result<PgRow>> + Unpin + 'e {
    // The client's filter shapes some SQL texts. Those must not evict the common statements from the statement cache.
    sql.build().persistent(conditions.is_common()).fetch(db)
}

pub(super) async fn search(db: &Postgres, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>> {
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
    let mut db = db.session(OPERATION).await?;
    // Selects ids first, because sorting whole rows would copy all values.
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
        let mut rows = rows(&mut sql, &conditions, &mut db);
        while found.len() < wanted
            && let Some(row) = rows.try_next().await.context(OPERATION)?
        {
            if conditions.hold(&row)? {
                found.push(ThreadId(get(&row, "thread_id")?));
            }
        }
    }
    let Page { items: ids, more } = page(found, offset, query.limit);
    // The join omits threads that were deleted meanwhile.
    let sql = format!(
        "SELECT {THREAD} FROM unnest($1::UUID[]) WITH ORDINALITY AS i (thread_id, place) JOIN threads t ON t.thread_id = i.thread_id
         WHERE t.tenant = $2 ORDER BY i.place"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(uuids(&ids)).bind(scope.tenant.as_str());
    let rows = rows.fetch_all(&mut *db).await.context(OPERATION)?;
    Ok(Page { items: rows.iter().map(columns::thread).collect::<Result<_>>()?, more })
}

pub(super) async fn count(db: &Postgres, scope: &Scope, query: &ThreadQuery) -> Result<u64> {
    const OPERATION: &str = "threads.count";
    let decided = is_decided(scope, query)?;
    let mut db = db.session(OPERATION).await?;
    let mut sql = QueryBuilder::new(match decided {
        true => "SELECT count(*) AS number",
        false => "SELECT 1::BIGINT AS number, metadata, \"values\"",
    });
    let conditions = Conditions::push(&mut sql, scope, query)?;
    let mut rows = rows(&mut sql, &conditions, &mut db);
    let mut number = 0;
    while let Some(row) = rows.try_next().await.context(OPERATION)? {
        if conditions.hold(&row)? {
            number += columns::count(&row, "number")?;
        }
    }
    Ok(number)
}
