use crate::auth::{ApiKeyHash, KeyScope, Role};
use crate::clock::Timestamp;
use crate::ids::ApiKeyId;

/// A new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStoredApiKey {
    /// Its id.
    pub key_id: ApiKeyId,
    /// The name, for people.
    pub name: String,
    /// The secret's hash.
    pub hash: ApiKeyHash,
    /// The first characters of the secret, for display; see [`ApiKey::prefix`](crate::auth::ApiKey::prefix).
    pub prefix: String,
    /// The deployments that it covers.
    pub scope: KeyScope,
    /// The bearer's role there.
    pub role: Role,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// A key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApiKey {
    /// Its id.
    pub key_id: ApiKeyId,
    /// The name, for people.
    pub name: String,
    /// The secret's hash.
    pub hash: ApiKeyHash,
    /// The first characters of the secret, for display.
    pub prefix: String,
    /// The deployments that it covers.
    pub scope: KeyScope,
    /// The bearer's role there.
    pub role: Role,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The last recorded use.
    pub last_used_at: Option<Timestamp>,
}

impl StoredApiKey {
    /// Whether it admits its bearer.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}
