use async_trait::async_trait;
use futures::TryStreamExt;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::model::{
    ItemReadOptions, NamespaceQuery, NewStoreItem, Page, ScoredItem, StoreItem, StoreItemQuery,
};
use langopen_core::queue::Lease;
use langopen_core::storage::StoreItems;
use langopen_core::tenant::Scope;
use sqlx::QueryBuilder;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::columns::{self, Context, get, text, time};
use super::{store_similarity, vectors};
use crate::rules::documents::page;
use crate::rules::namespace;
use crate::rules::run::lease_lost;

/// The columns that [`item`] reads.
pub(super) const ITEM: &str = "i.namespace, i.key, i.value, i.created_at, i.updated_at";

/// Encodes a namespace for its column: each label as JSON text, followed by a comma. A label cannot contain the
/// separator, so a prefix of whole labels is a prefix of the text.
fn joined(namespace: &[String]) -> Result<String> {
    let labels = namespace.iter().map(|label| Ok(text(label)? + ","));
    labels.collect()
}

fn labels(row: &PgRow) -> Result<Vec<String>> {
    let joined: &str = get(row, "namespace")?;
    let list = format!("[{}]", joined.trim_end_matches(','));
    serde_json::from_str(&list)
        .map_err(|error| Error::internal("store_items.read", "a namespace is damaged").with_source(error))
}

/// Adds the table `i` and three conditions: the item belongs to the tenant, it has not expired, and its namespace
/// starts with these labels.
pub(super) fn push_there(
    sql: &mut QueryBuilder<sqlx::Postgres>,
    scope: &Scope,
    prefix: &[String],
    now: Timestamp,
) -> Result<()> {
    sql.push(" FROM store_items i WHERE i.tenant = ").push_bind(scope.tenant.as_str().to_owned());
    sql.push(" AND (i.expires_at IS NULL OR i.expires_at > ").push_bind(now.as_micros()).push(")");
    let from = joined(prefix)?;
    if let Some(start) = from.strip_suffix(',') {
        // `-` is the character after the comma, so this is the end of the range of texts with the prefix.
        let to = format!("{start}-");
        sql.push(" AND i.namespace >= ").push_bind(from).push(" AND i.namespace < ").push_bind(to);
    }
    Ok(())
}

pub(super) fn item(row: &PgRow) -> Result<StoreItem> {
    Ok(StoreItem {
        namespace: labels(row)?,
        key: get(row, "key")?,
        value: columns::raw(row, "value")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Stores an item with its vectors. Returns no row if a lease is given and lost. The lock on the run prevents a new
/// claim until this transaction is committed. An item that replaces an expired one counts as new.
const PUT: &str = "
    WITH leased AS MATERIALIZED (SELECT 1 FROM runs WHERE run_id = $10 AND attempt = $11 AND status = 'running' FOR KEY SHARE),
    allowed AS MATERIALIZED (SELECT 1 WHERE $10::UUID IS NULL UNION ALL SELECT 1 FROM leased),
    put AS (
        INSERT INTO store_items AS i (tenant, namespace, key, created_at, updated_at, expires_at, ttl_minutes, value)
        SELECT $1, $2, $3, $4, $4, $5, $6, $7 FROM allowed
        ON CONFLICT (tenant, namespace, key) DO UPDATE SET updated_at = excluded.updated_at, expires_at = excluded.expires_at,
            ttl_minutes = excluded.ttl_minutes, value = excluded.value,
            created_at = CASE WHEN i.expires_at <= $4 THEN excluded.created_at ELSE i.created_at END),
    gone AS (
        DELETE FROM store_vectors WHERE tenant = $1 AND namespace = $2 AND key = $3 AND path <> ALL ($8) AND EXISTS (SELECT 1 FROM allowed)),
    vectors AS (
        INSERT INTO store_vectors (tenant, namespace, key, path, vector)
        SELECT $1, $2, $3, v.path, v.vector FROM allowed, unnest($8::TEXT[], $9::BYTEA[]) AS v (path, vector)
        ON CONFLICT (tenant, namespace, key, path) DO UPDATE SET vector = excluded.vector)
    SELECT 1 FROM allowed";

/// Removes an item, with the same check of the lease as [`PUT`].
const DELETE: &str = "
    WITH leased AS MATERIALIZED (SELECT 1 FROM runs WHERE run_id = $4 AND attempt = $5 AND status = 'running' FOR KEY SHARE),
    allowed AS MATERIALIZED (SELECT 1 WHERE $4::UUID IS NULL UNION ALL SELECT 1 FROM leased),
    gone AS (DELETE FROM store_items WHERE tenant = $1 AND namespace = $2 AND key = $3 AND EXISTS (SELECT 1 FROM allowed))
    SELECT 1 FROM allowed";

/// Fails with `LeaseLost` if the lease did not allow the write.
fn held_if(operation: &'static str, allowed: bool, lease: Option<Lease>) -> Result<()> {
    match lease {
        Some(lease) if !allowed => Err(lease_lost(operation, lease)),
        _ => Ok(()),
    }
}

impl Postgres {
    /// Extends the expiry of items.
    async fn refresh_items(&self, scope: &Scope, items: &[(&[String], &str)]) -> Result<()> {
        const OPERATION: &str = "store_items.refresh";
        let now = self.now();
        let namespaces = items.iter().map(|(namespace, _)| joined(namespace)).collect::<Result<Vec<_>>>()?;
        let keys: Vec<_> = items.iter().map(|(_, key)| *key).collect();
        self.retrying(|| async {
            let mut db = self.session(OPERATION).await?;
            // The sum saturates, like `namespace::expiry`.
            let update = sqlx::query(
                "UPDATE store_items i SET expires_at = trunc(least($1 + ttl_minutes * 60e6, 9223372036854774784))::BIGINT
                 FROM unnest($3::TEXT[], $4::TEXT[]) AS r (namespace, key)
                 WHERE i.tenant = $2 AND i.namespace = r.namespace AND i.key = r.key AND i.ttl_minutes IS NOT NULL",
            );
            let update = update.bind(now.as_micros()).bind(scope.tenant.as_str()).bind(&namespaces).bind(&keys);
            update.execute(&mut *db).await.context(OPERATION)?;
            db.done(OPERATION).await
        })
        .await
    }

    async fn newest_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>> {
        const OPERATION: &str = "store_items.search";
        let mut sql = QueryBuilder::<sqlx::Postgres>::new(format!("SELECT {ITEM}"));
        push_there(&mut sql, scope, &query.namespace_prefix, self.now())?;
        sql.push(" ORDER BY i.updated_at DESC, i.namespace, i.key");
        let wanted = query.offset as usize + query.limit as usize + 1;
        if query.filters.is_empty() {
            sql.push(" LIMIT ").push_bind(i64::try_from(wanted).unwrap_or(i64::MAX));
        }
        let mut db = self.session(OPERATION).await?;
        let built = sql.build();
        let mut rows = built.fetch(&mut *db);
        let mut found = Vec::new();
        while found.len() < wanted
            && let Some(row) = rows.try_next().await.context(OPERATION)?
        {
            let item = item(&row)?;
            if namespace::passes(&item.value, &query.filters) {
                found.push(ScoredItem { item, score: None });
            }
        }
        Ok(page(found, query.offset, query.limit))
    }
}

#[async_trait]
impl StoreItems for Postgres {
    async fn put_item(&self, scope: &Scope, new: NewStoreItem) -> Result<()> {
        const OPERATION: &str = "store_items.put";
        let now = self.now();
        let expires_at = namespace::expiry(now, new.ttl_minutes).map(Timestamp::as_micros);
        let namespace = joined(&new.namespace)?;
        let paths: Vec<_> = new.vectors.iter().map(|each| each.path.as_str()).collect();
        let columns: Vec<_> = new.vectors.iter().map(|each| vectors::column(&each.vector)).collect();
        self.retrying(|| async {
            let mut db = self.session(OPERATION).await?;
            let put = sqlx::query(PUT)
                .bind(scope.tenant.as_str())
                .bind(&namespace)
                .bind(&new.key)
                .bind(now.as_micros())
                .bind(expires_at)
                .bind(new.ttl_minutes)
                .bind(new.value.as_str())
                .bind(&paths)
                .bind(&columns)
                .bind(new.lease.map(|lease| lease.run_id.0))
                .bind(new.lease.map(|lease| i64::from(lease.attempt)));
            let allowed = put.fetch_optional(&mut *db).await.context(OPERATION)?.is_some();
            db.done(OPERATION).await?;
            held_if(OPERATION, allowed, new.lease)
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
        const OPERATION: &str = "store_items.get";
        let row = sqlx::query(
            "SELECT namespace, key, value, created_at, updated_at, ttl_minutes IS NOT NULL AS expires FROM store_items
             WHERE tenant = $1 AND namespace = $2 AND key = $3 AND (expires_at IS NULL OR expires_at > $4)",
        );
        let row = row.bind(scope.tenant.as_str()).bind(joined(namespace)?).bind(key).bind(self.now().as_micros());
        let row = row.fetch_optional(&mut *self.session(OPERATION).await?).await.context(OPERATION)?;
        let Some(row) = row else { return Ok(None) };
        if options.refresh_ttl && get(&row, "expires")? {
            self.refresh_items(scope, &[(namespace, key)]).await?;
        }
        item(&row).map(Some)
    }

    async fn delete_item(&self, scope: &Scope, namespace: &[String], key: &str, lease: Option<Lease>) -> Result<()> {
        const OPERATION: &str = "store_items.delete";
        let mut db = self.session(OPERATION).await?;
        let delete = sqlx::query(DELETE).bind(scope.tenant.as_str()).bind(joined(namespace)?).bind(key);
        let delete = delete.bind(lease.map(|lease| lease.run_id.0)).bind(lease.map(|lease| i64::from(lease.attempt)));
        let allowed = delete.fetch_optional(&mut *db).await.context(OPERATION)?.is_some();
        db.done(OPERATION).await?;
        held_if(OPERATION, allowed, lease)
    }

    async fn search_items(&self, scope: &Scope, query: &StoreItemQuery) -> Result<Page<ScoredItem>> {
        let found = match &query.vector {
            Some(vector) => store_similarity::nearest_items(self, scope, query, vector).await?,
            None => self.newest_items(scope, query).await?,
        };
        if query.refresh_ttl && !found.items.is_empty() {
            let items = found.items.iter().map(|found| (&found.item.namespace[..], found.item.key.as_str()));
            self.refresh_items(scope, &items.collect::<Vec<_>>()).await?;
        }
        Ok(found)
    }

    async fn sweep_items(&self) -> Result<u64> {
        const OPERATION: &str = "store_items.sweep";
        let now = self.now();
        self.retrying(|| async {
            let mut db = self.session(OPERATION).await?;
            let expired = sqlx::query("DELETE FROM store_items WHERE expires_at <= $1").bind(now.as_micros());
            let swept = expired.execute(&mut *db).await.context(OPERATION)?.rows_affected();
            db.done(OPERATION).await.map(|()| swept)
        })
        .await
    }

    async fn list_namespaces(&self, scope: &Scope, query: &NamespaceQuery) -> Result<Vec<Vec<String>>> {
        const OPERATION: &str = "store_items.namespaces";
        let mut sql = QueryBuilder::<sqlx::Postgres>::new("SELECT DISTINCT i.namespace");
        let literal = query.prefix.iter().take_while(|label| *label != "*").count();
        push_there(&mut sql, scope, &query.prefix[..literal], self.now())?;
        let mut db = self.session(OPERATION).await?;
        let rows = sql.build().fetch_all(&mut *db).await.context(OPERATION)?;
        let namespaces = rows.iter().map(labels).collect::<Result<Vec<_>>>()?;
        Ok(namespace::list(namespaces.into_iter(), query))
    }
}
