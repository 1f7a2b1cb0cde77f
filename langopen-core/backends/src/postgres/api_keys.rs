use async_trait::async_trait;
use langopen_core::auth::{ApiKeyHash, KeyScope};
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::ApiKeyId;
use langopen_core::model::{NewStoredApiKey, StoredApiKey};
use langopen_core::storage::ApiKeys;
use sqlx::AssertSqlSafe;

use super::Postgres;
use super::columns::{self, Context};
use super::session::transaction;
use crate::rules::api_key;

/// The columns that [`columns::api_key`] reads.
const KEY: &str = "key_id, name, hash, prefix, scope, role, created_at, expires_at, revoked_at, last_used_at";

#[async_trait]
impl ApiKeys for Postgres {
    async fn create_api_key(&self, new: NewStoredApiKey) -> Result<StoredApiKey> {
        const OPERATION: &str = "api_keys.create";
        let row = api_key::row(new, self.now())?;
        let mut db = self.session(OPERATION).await?;
        let insert = sqlx::query(
            "INSERT INTO api_keys (key_id, name, hash, prefix, scope, role, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(row.key_id.0)
        .bind(&row.name)
        .bind(row.hash.to_string())
        .bind(&row.prefix)
        .bind(row.scope.to_string())
        .bind(row.role.as_str())
        .bind(row.created_at.as_micros())
        .bind(row.expires_at.map(Timestamp::as_micros));
        match insert.execute(&mut *db).await.context(OPERATION)?.rows_affected() {
            0 => Err(api_key::taken(row.key_id)),
            _ => db.done(OPERATION).await.map(|()| row),
        }
    }

    async fn list_api_keys(&self, within: Option<&KeyScope>) -> Result<Vec<StoredApiKey>> {
        const OPERATION: &str = "api_keys.list";
        let sql = format!("SELECT {KEY} FROM api_keys ORDER BY created_at, key_id");
        let mut db = self.session(OPERATION).await?;
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *db).await.context(OPERATION)?;
        let keys = rows.iter().map(columns::api_key).collect::<Result<Vec<_>>>()?;
        Ok(keys.into_iter().filter(|key| within.is_none_or(|scope| scope.contains(&key.scope))).collect())
    }

    async fn revoke_api_key(&self, within: Option<&KeyScope>, id: ApiKeyId) -> Result<StoredApiKey> {
        const OPERATION: &str = "api_keys.revoke";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let sql = format!("SELECT {KEY} FROM api_keys WHERE key_id = $1 FOR NO KEY UPDATE");
            let found = sqlx::query(AssertSqlSafe(sql)).bind(id.0);
            let found = found.fetch_optional(&mut *db).await.context(OPERATION)?;
            let found = found.as_ref().map(columns::api_key).transpose()?;
            let found = found.filter(|key| within.is_none_or(|scope| scope.contains(&key.scope)));
            let mut found = found.ok_or_else(|| api_key::not_found(OPERATION, id))?;
            let at = *found.revoked_at.get_or_insert(now);
            let revoke = sqlx::query("UPDATE api_keys SET revoked_at = $1 WHERE key_id = $2");
            revoke.bind(at.as_micros()).bind(id.0).execute(&mut *db).await.context(OPERATION)?;
            Ok(found)
        })
        .await
    }

    async fn api_key_of_hash(&self, hash: &ApiKeyHash) -> Result<Option<StoredApiKey>> {
        const OPERATION: &str = "api_keys.of_hash";
        let sql = format!("SELECT {KEY} FROM api_keys WHERE hash = $1");
        let found = sqlx::query(AssertSqlSafe(sql)).bind(hash.to_string());
        let found = found.fetch_optional(&mut *self.session(OPERATION).await?).await.context(OPERATION)?;
        found.as_ref().map(columns::api_key).transpose()
    }

    async fn touch_api_key(&self, id: ApiKeyId) -> Result<()> {
        const OPERATION: &str = "api_keys.touch";
        let mut db = self.session(OPERATION).await?;
        let touch = sqlx::query("UPDATE api_keys SET last_used_at = greatest(last_used_at, $1) WHERE key_id = $2");
        touch.bind(self.now().as_micros()).bind(id.0).execute(&mut *db).await.context(OPERATION)?;
        db.done(OPERATION).await
    }
}
