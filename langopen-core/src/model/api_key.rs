use crate::auth::{ApiKeyHash, KeyScope, Role};
use crate::clock::Timestamp;
use crate::ids::ApiKeyId;

/// A key that is about to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStoredApiKey {
    /// Its id.
    pub key_id: ApiKeyId,
    /// For people.
    pub name: String,
    /// Of the secret.
    pub hash: ApiKeyHash,
    /// How the secret begins, to be shown; see [`ApiKey::prefix`](crate::auth::ApiKey::prefix).
    pub prefix: String,
    /// Which deployments it is for.
    pub scope: KeyScope,
    /// What its bearer may do there.
    pub role: Role,
    /// When it ceases to let its bearer in.
    pub expires_at: Option<Timestamp>,
}

/// A key as the platform keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApiKey {
    /// Its id.
    pub key_id: ApiKeyId,
    /// For people.
    pub name: String,
    /// Of the secret.
    pub hash: ApiKeyHash,
    /// How the secret begins, to be shown.
    pub prefix: String,
    /// Which deployments it is for.
    pub scope: KeyScope,
    /// What its bearer may do there.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ceases to let its bearer in.
    pub expires_at: Option<Timestamp>,
    /// Since when it lets nobody in any more.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, as far as was noted.
    pub last_used_at: Option<Timestamp>,
}

impl StoredApiKey {
    /// Whether it lets its bearer in.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}
