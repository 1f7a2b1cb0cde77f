//! Searching the runs of an assistant.

use langopen_core::error::Result;
use langopen_core::model::{FoundRuns, RunSearch};
use langopen_core::tenant::Scope;
use sqlx::{AssertSqlSafe, SqlitePool};
use uuid::Uuid;

use super::columns::{self, Context};
use crate::rules::documents::passes;
use crate::rules::run::found;

pub(super) async fn search(db: &SqlitePool, scope: &Scope, search: &RunSearch) -> Result<FoundRuns> {
    const OPERATION: &str = "runs.search";
    if search.statuses.is_empty() || search.limit == 0 {
        return Ok(FoundRuns { runs: Vec::new(), next: search.after });
    }
    // One subquery per status, so that an index returns its runs in order.
    let of_status = search.statuses.iter().map(|status| {
        format!(
            "SELECT * FROM (SELECT run_id, updated_at FROM runs WHERE tenant = ?1 AND assistant_id = ?2 AND status = '{}' AND updated_at >= ?3
                AND (updated_at, run_id) < (?4, ?5) ORDER BY updated_at DESC, run_id DESC LIMIT ?6)",
            status.as_str()
        )
    });
    let places = of_status.collect::<Vec<_>>().join(" UNION ALL ");
    let sql = format!(
        "SELECT r.*, t.metadata AS thread_metadata
         FROM (SELECT run_id FROM ({places}) ORDER BY updated_at DESC, run_id DESC LIMIT ?6) AS p
         JOIN runs r USING (run_id) JOIN threads t USING (thread_id) ORDER BY r.updated_at DESC, r.run_id DESC"
    );
    let (before, id) = search.after.map_or((i64::MAX, Uuid::max()), |(at, run_id)| (at.as_micros(), run_id.0));
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(scope.tenant.as_str())
        .bind(search.assistant_id.0)
        .bind(search.since.map_or(i64::MIN, |since| since.as_micros()))
        .bind(before)
        .bind(id)
        .bind(search.limit);
    let rows = rows.fetch_all(db).await.context(OPERATION)?;
    let rows = rows.iter().map(|row| {
        let shown = scope.filter.is_none() || passes(scope, &columns::json(row, "thread_metadata")?);
        Ok((columns::run(row)?, shown))
    });
    Ok(found(rows.collect::<Result<_>>()?, search.limit))
}
