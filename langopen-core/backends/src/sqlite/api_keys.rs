use async_trait::async_trait;
use futures::FutureExt;
use langopen_core::auth::{ApiKeyHash, KeyScope};
use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::ids::ApiKeyId;
use langopen_core::model::{NewStoredApiKey, StoredApiKey};
use langopen_core::storage::ApiKeys;
use uuid::Uuid;

use super::Sqlite;
use super::columns::{self, Context};
use crate::rules::api_key;

#[async_trait]
impl ApiKeys for Sqlite {
    async fn create_api_key(&self, new: NewStoredApiKey) -> Result<StoredApiKey> {
        const OPERATION: &str = "api_keys.create";
        let row = api_key::row(new, self.now())?;
        let created = self.write(OPERATION, move |db| {
            async move {
                let insert = sqlx::query(
                    "INSERT INTO api_keys (key_id, name, hash, prefix, scope, role, created_at, expires_at)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                )
                .bind(row.key_id.0)
                .bind(&row.name)
                .bind(row.hash.to_string())
                .bind(&row.prefix)
                .bind(row.scope.to_string())
                .bind(row.role.as_str())
                .bind(row.created_at.as_micros())
                .bind(row.expires_at.map(Timestamp::as_micros));
                match insert.execute(db).await.context(OPERATION)?.rows_affected() {
                    0 => Err(api_key::taken(row.key_id)),
                    _ => Ok(row),
                }
            }
            .boxed()
        });
        created.await
    }

    async fn list_api_keys(&self, within: Option<&KeyScope>) -> Result<Vec<StoredApiKey>> {
        let rows = sqlx::query("SELECT * FROM api_keys ORDER BY created_at, key_id").fetch_all(self.readers()).await;
        let keys = rows.context("api_keys.list")?.iter().map(columns::api_key).collect::<Result<Vec<_>>>()?;
        Ok(keys.into_iter().filter(|key| within.is_none_or(|scope| scope.contains(&key.scope))).collect())
    }

    async fn revoke_api_key(&self, within: Option<&KeyScope>, id: ApiKeyId) -> Result<StoredApiKey> {
        const OPERATION: &str = "api_keys.revoke";
        let (within, now) = (within.cloned(), self.now());
        let revoked = self.write(OPERATION, move |db| {
            async move {
                let found = sqlx::query("SELECT * FROM api_keys WHERE key_id = ?").bind(id.0);
                let found = found.fetch_optional(&mut *db).await.context(OPERATION)?;
                let found = found.as_ref().map(columns::api_key).transpose()?;
                let found = found.filter(|key| within.is_none_or(|scope| scope.contains(&key.scope)));
                let mut found = found.ok_or_else(|| api_key::not_found(OPERATION, id))?;
                let at = *found.revoked_at.get_or_insert(now);
                let revoke = sqlx::query("UPDATE api_keys SET revoked_at = ? WHERE key_id = ?");
                revoke.bind(at.as_micros()).bind(id.0).execute(db).await.context(OPERATION)?;
                Ok(found)
            }
            .boxed()
        });
        revoked.await
    }

    async fn api_key_of_hash(&self, hash: &ApiKeyHash) -> Result<Option<StoredApiKey>> {
        let found = sqlx::query("SELECT * FROM api_keys WHERE hash = ?").bind(hash.to_string());
        let found = found.fetch_optional(self.readers()).await.context("api_keys.of_hash")?;
        found.as_ref().map(columns::api_key).transpose()
    }

    async fn touch_api_key(&self, id: ApiKeyId) -> Result<()> {
        const OPERATION: &str = "api_keys.touch";
        let (id, now): (Uuid, _) = (id.0, self.now().as_micros());
        let touched = self.write_whole(OPERATION, move |db| {
            async move {
                let touch = sqlx::query(
                    "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, ?1), ?1) WHERE key_id = ?2",
                );
                touch.bind(now).bind(id).execute(db).await.context(OPERATION).map(drop)
            }
            .boxed()
        });
        touched.await
    }
}
