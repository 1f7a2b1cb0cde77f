use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::model::{
    FieldVector, ItemReadOptions, NamespaceQuery, NewStoreItem, Page, ScoredItem, StoreItem, StoreItemQuery,
};
use langopen_core::queue::Lease;
use langopen_core::storage::StoreItems;
use langopen_core::tenant::Scope;
use sqlx::sqlite::{SqliteExecutor, SqliteRow};
use sqlx::{QueryBuilder, Row, SqliteConnection};

use super::Sqlite;
use super::checkpoints::must_hold;
use super::columns::{self, Context, get, text, time};
use super::vectors;
use crate::rules::documents::page;
use crate::rules::namespace;

/// The condition that an item has not expired. Its parameter is the current time.
const IS_THERE: &str = "(expires_at IS NULL OR expires_at > ";

/// Encodes a namespace for its column: each label as JSON text, followed by a comma. A label cannot contain the
/// separator, so a prefix of whole labels is a prefix of the text.
fn joined(namespace: &[String]) -> Result<String> {
    let labels = namespace.iter().map(|label| Ok(text(label)? + ","));
    labels.collect()
}

fn labels(row: &SqliteRow) -> Result<Vec<String>> {
    let joined: &str = get(row, "namespace")?;
    let list = format!("[{}]", joined.trim_end_matches(','));
    serde_json::from_str(&list)
        .map_err(|error| Error::internal("store_items.read", "a namespace is damaged").with_source(error))
}

/// Adds the condition that a namespace starts with these labels.
fn push_prefix(sql: &mut QueryBuilder<sqlx::Sqlite>, prefix: &[String]) -> Result<()> {
    let from = joined(prefix)?;
    if let Some(start) = from.strip_suffix(',') {
        // `-` is the character after the comma, so this is the end of the range of texts with the prefix.
        let to = format!("{start}-");
        sql.push(" AND namespace >= ").push_bind(from).push(" AND namespace < ").push_bind(to);
    }
    Ok(())
}

fn item(row: &SqliteRow) -> Result<StoreItem> {
    Ok(StoreItem {
        namespace: labels(row)?,
        key: get(row, "key")?,
        value: columns::raw(row, "value")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Extends the expiry of the items with these row numbers.
async fn refresh<'e>(db: impl SqliteExecutor<'e>, rows: &[i64], now: Timestamp) -> Result<()> {
    let update = sqlx::query(
        "UPDATE store_items SET expires_at = CAST(? + ttl_minutes * 60e6 AS INTEGER)
         WHERE ttl_minutes IS NOT NULL AND rowid IN (SELECT value FROM json_each(?))",
    );
    update.bind(now.as_micros()).bind(text(&rows)?).execute(db).await.context("store_items.refresh")?;
    Ok(())
}

/// Replaces all vectors of an item.
async fn replace_vectors(
    db: &mut SqliteConnection,
    (tenant, namespace, key): (&str, &str, &str),
    vectors: &[FieldVector],
) -> sqlx::Result<()> {
    let delete = sqlx::query("DELETE FROM store_vectors WHERE tenant = ? AND namespace = ? AND key = ?");
    delete.bind(tenant).bind(namespace).bind(key).execute(&mut *db).await?;
    for FieldVector { path, vector } in vectors {
        let insert = sqlx::query("INSERT OR REPLACE INTO store_vectors VALUES (?, ?, ?, ?, ?)");
        let insert = insert.bind(tenant).bind(namespace).bind(key).bind(path);
        insert.bind(vectors::column(vector)).execute(&mut *db).await?;
    }
    Ok(())
}

/// Adds the similarity of the item's most similar vector to the query, or NULL.
fn push_score(sql: &mut QueryBuilder<sqlx::Sqlite>, query: Option<&[f32]>) {
    let Some(query) = query.map(vectors::column) else {
        sql.push("NULL");
        return;
    };
    let length = i64::try_from(query.len()).unwrap_or(i64::MAX);
    sql.push("(SELECT max(1 - coalesce(vec_distance_cosine(vector, ")
        .push_bind(query)
        .push("), 1)) FROM store_vectors v")
        .push(
            " WHERE v.tenant = store_items.tenant AND v.namespace = store_items.namespace AND v.key = store_items.key",
        )
        .push(" AND length(vector) = ")
        .push_bind(length)
        .push(")");
}

impl Sqlite {
    async fn refresh_items(&self, rows: Vec<i64>) -> Result<()> {
        let now = self.now();
        self.write("store_items.refresh", move |db| async move { refresh(db, &rows, now).await }.boxed()).await
    }
}

#[async_trait]
impl StoreItems for Sqlite {
    async fn put_item(&self, scope: &Scope, new: NewStoreItem) -> Result<()> {
        const OPERATION: &str = "store_items.put";
        let (tenant, now) = (scope.tenant.clone(), self.now());
        let namespace = joined(&new.namespace)?;
        let expires_at = namespace::expiry(now, new.ttl_minutes).map(Timestamp::as_micros);
        self.write(OPERATION, move |db| {
            async move {
                must_hold(OPERATION, db, new.lease).await?;
                // Deletes an expired item first, so that a new item with the same key gets a new `created_at`.
                let expired = sqlx::query("DELETE FROM store_items WHERE expires_at <= ?").bind(now.as_micros());
                expired.execute(&mut *db).await.context(OPERATION)?;
                sqlx::query(
                    "INSERT INTO store_items (tenant, namespace, key, created_at, updated_at, expires_at, ttl_minutes, value)
                     VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7)
                     ON CONFLICT DO UPDATE SET updated_at = excluded.updated_at, expires_at = excluded.expires_at,
                        ttl_minutes = excluded.ttl_minutes, value = excluded.value",
                )
                .bind(tenant.as_str())
                .bind(&namespace)
                .bind(&new.key)
                .bind(now.as_micros())
                .bind(expires_at)
                .bind(new.ttl_minutes)
                .bind(new.value.as_str())
                .execute(&mut *db)
                .await
                .context(OPERATION)?;
                replace_vectors(db, (tenant.as_str(), &namespace, &new.key), &new.vectors).await.context(OPERATION)
            }
            .boxed()
        })
        .await
    }

    async fn item(
        &self,
        scope: &Scope,
        namespace: &[String],
        key: &str,
        options: ItemReadOptions,
    ) -> Result<Option<StoreItem>> {
        let row = sqlx::query(
            "SELECT rowid, * FROM store_items
             WHERE tenant = ? AND namespace = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)",
        );
        let row = row.bind(scope.tenant.as_str()).bind(joined(namespace)?).bind(key).bind(self.now().as_micros());
        let Some(row) = row.fetch_optional(self.readers()).await.context("store_items.get")? else { return Ok(None) };
        if options.refresh_ttl && get::<Option<f64>>(&row, "ttl_minutes")?.is_some() {
            self.refresh_items(vec![get(&row, "rowid")?]).await?;
        }
        item(&row).map(Some)
    }

    async fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str, lease: Option<Lease>) -> Result<()> {
        const OPERATION: &str = "store_items.delete";
        let (tenant, namespace, key) = (scope.tenant.clone(), joined(namespace)?, key.to_owned());
        self.write(OPERATION, move |db| {
            async move {
                must_hold(OPERATION, db, lease).await?;
                let delete = sqlx::query("DELETE FROM store_items WHERE tenant = ? AND namespace = ? AND key = ?");
                delete.bind(tenant.as_str()).bind(namespace).bind(key).execute(db).await.context(OPERATION)?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn search_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>> {
        const OPERATION: &str = "store_items.search";
        let mut sql = QueryBuilder::<sqlx::Sqlite>::new("SELECT rowid, *, ");
        push_score(&mut sql, query.vector.as_deref());
        sql.push(" AS score FROM store_items WHERE tenant = ");
        sql.push_bind(scope.tenant.as_str()).push(" AND ").push(IS_THERE).push_bind(self.now().as_micros()).push(")");
        push_prefix(&mut sql, &query.namespace_prefix)?;
        sql.push(" ORDER BY score DESC NULLS LAST, updated_at DESC, namespace, key");
        let wanted = query.offset as usize + query.limit as usize + 1;
        if query.filters.is_empty() {
            sql.push(" LIMIT ").push_bind(i64::try_from(wanted).unwrap_or(i64::MAX));
        }
        let mut found = Vec::new();
        {
            let built = sql.build();
            let mut rows = built.fetch(self.readers());
            while found.len() < wanted
                && let Some(row) = rows.try_next().await.context(OPERATION)?
            {
                let item = item(&row)?;
                if namespace::passes(&item.value, &query.filters) {
                    let score: Option<f64> = get(&row, "score")?;
                    found.push((row.try_get::<i64, _>("rowid").context(OPERATION)?, ScoredItem { item, score }));
                }
            }
        }
        let Page { items, more } = page(found, query.offset, query.limit);
        if query.refresh_ttl && !items.is_empty() {
            self.refresh_items(items.iter().map(|(row, _)| *row).collect()).await?;
        }
        Ok(Page { items: items.into_iter().map(|(_, found)| found).collect(), more })
    }

    async fn sweep_items(&self) -> Result<u64> {
        const OPERATION: &str = "store_items.sweep";
        let now = self.now();
        self.write(OPERATION, move |db| {
            async move {
                let expired = sqlx::query("DELETE FROM store_items WHERE expires_at <= ?").bind(now.as_micros());
                Ok(expired.execute(db).await.context(OPERATION)?.rows_affected())
            }
            .boxed()
        })
        .await
    }

    async fn list_namespaces(&self, scope: &Scope, query: &NamespaceQuery) -> Result<Vec<Vec<String>>> {
        let mut sql = QueryBuilder::<sqlx::Sqlite>::new("SELECT DISTINCT namespace FROM store_items WHERE tenant = ");
        sql.push_bind(scope.tenant.as_str()).push(" AND ").push(IS_THERE).push_bind(self.now().as_micros()).push(")");
        let literal = query.prefix.iter().take_while(|label| *label != "*").count();
        push_prefix(&mut sql, &query.prefix[..literal])?;
        let rows = sql.build().fetch_all(self.readers()).await.context("store_items.namespaces")?;
        let namespaces = rows.iter().map(labels).collect::<Result<Vec<_>>>()?;
        Ok(namespace::list(namespaces.into_iter(), query))
    }
}
