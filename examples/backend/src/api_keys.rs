use async_trait::async_trait;
use langopen_backends::rules::api_key;
use langopen_core::auth::{ApiKeyHash, KeyScope};
use langopen_core::model::{NewStoredApiKey, StoredApiKey};
use langopen_core::storage::ApiKeys;
use langopen_core::{ApiKeyId, Result};

use crate::MyBackend;

/// Whether the caller may see the key. `None` means that it may see every key.
fn is_visible(key: &StoredApiKey, within: Option<&KeyScope>) -> bool {
    within.is_none_or(|scope| scope.contains(&key.scope))
}

#[async_trait]
impl ApiKeys for MyBackend {
    async fn create_api_key(&self, new: NewStoredApiKey) -> Result<StoredApiKey> {
        let mut state = self.state();
        let key = api_key::row(new, self.clock.now())?;
        if state.api_keys.values().any(|other| other.key_id == key.key_id || other.hash == key.hash) {
            return Err(api_key::taken(key.key_id));
        }
        state.api_keys.insert(key.key_id, key.clone());
        Ok(key)
    }

    async fn list_api_keys(&self, within: Option<&KeyScope>) -> Result<Vec<StoredApiKey>> {
        let state = self.state();
        let mut keys: Vec<_> = state.api_keys.values().filter(|key| is_visible(key, within)).cloned().collect();
        keys.sort_by_key(|key| (key.created_at, key.key_id));
        Ok(keys)
    }

    async fn revoke_api_key(&self, within: Option<&KeyScope>, id: ApiKeyId) -> Result<StoredApiKey> {
        let mut state = self.state();
        let key = state.api_keys.get_mut(&id).filter(|key| is_visible(key, within));
        let key = key.ok_or_else(|| api_key::not_found("api_keys.revoke", id))?;
        key.revoked_at.get_or_insert_with(|| self.clock.now());
        Ok(key.clone())
    }

    async fn api_key_of_hash(&self, hash: &ApiKeyHash) -> Result<Option<StoredApiKey>> {
        Ok(self.state().api_keys.values().find(|key| key.hash == *hash).cloned())
    }

    async fn touch_api_key(&self, id: ApiKeyId) -> Result<()> {
        if let Some(key) = self.state().api_keys.get_mut(&id) {
            key.last_used_at = key.last_used_at.max(Some(self.clock.now()));
        }
        Ok(())
    }
}
