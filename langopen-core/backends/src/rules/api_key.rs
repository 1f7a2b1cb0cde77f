//! The rules for rows of API keys.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::ids::ApiKeyId;
use langopen_core::model::{NewStoredApiKey, StoredApiKey};

const CREATE: &str = "api_keys.create";

/// The row of a new key.
pub fn row(new: NewStoredApiKey, now: Timestamp) -> Result<StoredApiKey> {
    let fits = (1..=100).contains(&new.name.chars().count()) && !new.name.chars().any(char::is_control);
    if !fits {
        return Err(Error::invalid(CREATE, "the name of a key must be 1 to 100 characters without control characters"));
    }
    Ok(StoredApiKey {
        key_id: new.key_id,
        name: new.name,
        hash: new.hash,
        prefix: new.prefix,
        scope: new.scope,
        role: new.role,
        created_at: now,
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
    })
}

/// The error when another API key has the same id or the same secret.
pub fn taken(id: ApiKeyId) -> Error {
    Error::new(ErrorKind::AlreadyExists, CREATE, format!("the key {id}, or its secret, exists already"))
}

/// The error for an API key that does not exist.
pub fn not_found(operation: &'static str, id: ApiKeyId) -> Error {
    Error::not_found(operation, format!("there is no key {id}"))
}
