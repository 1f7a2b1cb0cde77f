//! Searches store items by the similarity of their texts. This process computes the similarity over all items that the
//! query may find, so the server needs no extension.

use std::cmp::Ordering;

use futures::TryStreamExt;
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::model::{FieldVector, Page, ScoredItem, StoreItemQuery};
use langopen_core::tenant::Scope;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, QueryBuilder};

use super::Postgres;
use super::columns::{self, Context, get, time};
use super::store_items::{ITEM, item, push_there};
use super::vectors;
use crate::rules::documents::page;
use crate::rules::{namespace, similarity};

/// A found item without its value.
struct Candidate {
    score: Option<f64>,
    updated_at: Timestamp,
    namespace: String,
    key: String,
}

impl Candidate {
    /// Sorts the most similar item first and items without a score last. Ties sort by the most recent update.
    fn compare(&self, other: &Self) -> Ordering {
        let by_score = match (self.score, other.score) {
            (Some(a), Some(b)) => b.total_cmp(&a),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        by_score
            .then(other.updated_at.cmp(&self.updated_at))
            .then_with(|| self.namespace.cmp(&other.namespace))
            .then_with(|| self.key.cmp(&other.key))
    }
}

fn candidate(row: &PgRow, query: &[f32]) -> Result<Candidate> {
    let held = get::<Option<Vec<Vec<u8>>>>(row, "vectors")?.unwrap_or_default();
    let held: Vec<_> =
        held.into_iter().map(|held| FieldVector { path: String::new(), vector: vectors::vector(&held) }).collect();
    let score = similarity::best(&held, Some(query));
    Ok(Candidate {
        score,
        updated_at: time(row, "updated_at")?,
        namespace: get(row, "namespace")?,
        key: get(row, "key")?,
    })
}

pub(super) async fn nearest_items(
    db: &Postgres,
    scope: &Scope,
    query: &StoreItemQuery,
    vector: &[f32],
) -> Result<Page<ScoredItem>> {
    const OPERATION: &str = "store_items.search";
    let now = db.now();
    let mut db = db.session(OPERATION).await?;
    let value = if query.filters.is_empty() { "" } else { "i.value, " };
    let mut sql = QueryBuilder::<sqlx::Postgres>::new(format!(
        "SELECT {value}i.namespace, i.key, i.updated_at, (
            SELECT array_agg(v.vector) FROM store_vectors v WHERE v.tenant = i.tenant AND v.namespace = i.namespace AND v.key = i.key
         ) AS vectors"
    ));
    push_there(&mut sql, scope, &query.namespace_prefix, now)?;
    let mut candidates = Vec::new();
    {
        let built = sql.build();
        let mut rows = built.fetch(&mut *db);
        while let Some(row) = rows.try_next().await.context(OPERATION)? {
            if query.filters.is_empty() || namespace::passes(&columns::raw(&row, "value")?, &query.filters) {
                candidates.push(candidate(&row, vector)?);
            }
        }
    }
    candidates.sort_by(Candidate::compare);
    let Page { items: chosen, more } = page(candidates, query.offset, query.limit);
    let namespaces: Vec<_> = chosen.iter().map(|each| each.namespace.as_str()).collect();
    let keys: Vec<_> = chosen.iter().map(|each| each.key.as_str()).collect();
    let sql = format!(
        "SELECT {ITEM}, c.place FROM unnest($2::TEXT[], $3::TEXT[]) WITH ORDINALITY AS c (namespace, key, place)
         JOIN store_items i ON i.tenant = $1 AND i.namespace = c.namespace AND i.key = c.key ORDER BY c.place"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(scope.tenant.as_str()).bind(namespaces).bind(keys);
    let rows = rows.fetch_all(&mut *db).await.context(OPERATION)?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let place = usize::try_from(get::<i64>(row, "place")?).unwrap_or_default();
        let score = place.checked_sub(1).and_then(|place| chosen.get(place)).and_then(|each| each.score);
        items.push(ScoredItem { item: item(row)?, score });
    }
    Ok(Page { items, more })
}
