use async_trait::async_trait;
use langopen_core::auth::{ApiKeyHash, KeyScope};
use langopen_core::error::Result;
use langopen_core::ids::ApiKeyId;
use langopen_core::model::{NewStoredApiKey, StoredApiKey};
use langopen_core::storage::ApiKeys;

use super::Memory;
use crate::rules::api_key;

fn lies_within(row: &StoredApiKey, within: Option<&KeyScope>) -> bool {
    within.is_none_or(|scope| scope.contains(&row.scope))
}

#[async_trait]
impl ApiKeys for Memory {
    async fn create_api_key(&self, new: NewStoredApiKey) -> Result<StoredApiKey> {
        let mut state = self.state();
        let row = api_key::row(new, self.now())?;
        if state.api_keys.values().any(|other| other.key_id == row.key_id || other.hash == row.hash) {
            return Err(api_key::taken(row.key_id));
        }
        state.api_keys.insert(row.key_id, row.clone());
        Ok(row)
    }

    async fn list_api_keys(&self, within: Option<&KeyScope>) -> Result<Vec<StoredApiKey>> {
        let state = self.state();
        let mut rows: Vec<_> = state.api_keys.values().filter(|row| lies_within(row, within)).cloned().collect();
        rows.sort_by_key(|row| (row.created_at, row.key_id));
        Ok(rows)
    }

    async fn revoke_api_key(&self, within: Option<&KeyScope>, id: ApiKeyId) -> Result<StoredApiKey> {
        let now = self.now();
        let mut state = self.state();
        let row = state.api_keys.get_mut(&id).filter(|row| lies_within(row, within));
        let row = row.ok_or_else(|| api_key::not_found("api_keys.revoke", id))?;
        row.revoked_at.get_or_insert(now);
        Ok(row.clone())
    }

    async fn api_key_of_hash(&self, hash: &ApiKeyHash) -> Result<Option<StoredApiKey>> {
        Ok(self.state().api_keys.values().find(|row| row.hash == *hash).cloned())
    }

    async fn touch_api_key(&self, id: ApiKeyId) -> Result<()> {
        let now = self.now();
        if let Some(row) = self.state().api_keys.get_mut(&id) {
            row.last_used_at = row.last_used_at.max(Some(now));
        }
        Ok(())
    }
}
