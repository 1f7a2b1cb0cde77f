use async_trait::async_trait;

use crate::auth::{ApiKeyHash, KeyScope};
use crate::error::Result;
use crate::ids::ApiKeyId;
use crate::model::{NewStoredApiKey, StoredApiKey};

/// The API keys of an installation: never a secret, only its hash. These rows are the installation's, not a tenant's.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Keeps a new key.
    ///
    /// # Errors
    /// `AlreadyExists` for a taken id or hash; `Invalid` for a name that is empty, longer than 100 characters, or has control characters in it.
    async fn create_api_key(&self, new: NewStoredApiKey) -> Result<StoredApiKey>;

    /// The keys whose scope lies `within`, revoked and expired ones too, oldest first; all keys without it.
    async fn list_api_keys(&self, within: Option<&KeyScope>) -> Result<Vec<StoredApiKey>>;

    /// Revokes a key whose scope lies `within`, if that is given: when this returns, [`ApiKeys::api_key_of_hash`] tells so. Of a key that was revoked
    /// before, the first time stays.
    ///
    /// # Errors
    /// `NotFound`.
    async fn revoke_api_key(&self, within: Option<&KeyScope>, id: ApiKeyId) -> Result<StoredApiKey>;

    /// The key of this hash, revoked and expired ones too: [`StoredApiKey::is_valid`] tells whether it lets anybody in.
    async fn api_key_of_hash(&self, hash: &ApiKeyHash) -> Result<Option<StoredApiKey>>;

    /// Says that a key was used now. A key that is not there is no error: it only notes.
    async fn touch_api_key(&self, id: ApiKeyId) -> Result<()>;
}
