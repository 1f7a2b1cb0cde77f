use async_trait::async_trait;

use crate::auth::{ApiKeyHash, KeyScope};
use crate::error::Result;
use crate::ids::ApiKeyId;
use crate::model::{NewStoredApiKey, StoredApiKey};

/// The API keys of an installation. The storage holds only the hash of a secret. These rows belong to the installation,
/// not to a tenant.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Creates a key.
    ///
    /// # Errors
    /// - `AlreadyExists`: the id or the hash is taken.
    /// - `Invalid`: the name is empty, longer than 100 characters, or contains control characters.
    async fn create_api_key(&self, new: NewStoredApiKey) -> Result<StoredApiKey>;

    /// The keys whose scope lies `within`, or all keys if `within` is `None`. They include revoked and expired keys.
    /// Order: oldest first.
    async fn list_api_keys(&self, within: Option<&KeyScope>) -> Result<Vec<StoredApiKey>>;

    /// Revokes a key whose scope lies `within`, or any key if `within` is `None`.
    ///
    /// - When this call returns, [`ApiKeys::api_key_of_hash`] returns the key as revoked.
    /// - Idempotence: a key that is already revoked keeps its first `revoked_at`.
    ///
    /// # Errors
    /// - `NotFound`: no such key lies within the scope.
    async fn revoke_api_key(&self, within: Option<&KeyScope>, id: ApiKeyId) -> Result<StoredApiKey>;

    /// The key with this hash, even if it is revoked or expired. [`StoredApiKey::is_valid`] decides whether it admits
    /// its bearer.
    async fn api_key_of_hash(&self, hash: &ApiKeyHash) -> Result<Option<StoredApiKey>>;

    /// Records that a key was used now. `last_used_at` never decreases. A missing key is no error.
    async fn touch_api_key(&self, id: ApiKeyId) -> Result<()>;
}
