use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use serde_json::json;

use super::api_key::PREFIX;
use super::{ApiKeyHash, ApiKeyRecord, Credentials, Identity, KeyScope, Refusal, Role};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::ids::ApiKeyId;
use crate::model::StoredApiKey;
use crate::storage::ApiKeys;
use crate::tenant::Tenant;

/// The number of storage answers in the cache.
const KEPT: u64 = 10_000;

/// The shortest time between two records of a key's use.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// What a key grants its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGrant {
    /// The deployments that it covers.
    pub scope: KeyScope,
    /// The bearer's role there.
    pub role: Role,
    /// The key's name.
    pub name: String,
    /// The bearer's identity.
    pub identity: String,
    /// The bearer's permissions, in the application's own words.
    pub permissions: Vec<String>,
}

impl KeyGrant {
    /// The bearer in the named deployment. Without a name, the key must cover exactly one deployment.
    ///
    /// # Errors
    /// `Forbidden` if the key does not cover the deployment; `Invalid` if no deployment is named and the key covers
    /// several.
    pub fn identity(&self, named: Option<&Tenant>) -> Result<Identity> {
        let tenant = match named {
            Some(named) if self.scope.covers(named) => named,
            Some(_) => return Err(Refusal::new(403, "This API key is not for that deployment").into()),
            None => self.scope.deployment().ok_or_else(|| {
                let detail = "This API key covers several deployments: name one of them in the path of the request";
                Refusal::new(400, detail)
            })?,
        };
        let user = json!({
            "identity": self.identity, "is_authenticated": true, "display_name": self.name,
            "permissions": self.permissions, "role": self.role, "kind": "ApiKey",
        });
        Ok(Identity {
            tenant: tenant.clone(),
            identity: self.identity.clone(),
            role: Some(self.role),
            permissions: self.permissions.clone(),
            user: user.as_object().cloned(),
        })
    }
}

/// The API keys of a server: those of its configuration, and those of its storage.
///
/// An answer of the storage is used for [`KeyRing::FRESH`]. So a revoked key is refused on every server after that
/// time.
pub struct KeyRing {
    records: Vec<ApiKeyRecord>,
    stored: Option<Stored>,
}

struct Stored {
    keys: Arc<dyn ApiKeys>,
    clock: Arc<dyn Clock>,
    /// Whether any key exists, and when that was read.
    any: Mutex<Option<(Timestamp, bool)>>,
    answers: Cache<ApiKeyHash, (Timestamp, Option<StoredApiKey>)>,
}

impl KeyRing {
    /// How long an answer of the storage is used.
    pub const FRESH: Duration = Duration::from_secs(5);

    /// A ring with these keys.
    pub fn new(records: Vec<ApiKeyRecord>) -> Self {
        Self { records, stored: None }
    }

    /// Adds the keys of a storage.
    #[must_use]
    pub fn with_stored(mut self, keys: Arc<dyn ApiKeys>, clock: Arc<dyn Clock>) -> Self {
        self.stored = Some(Stored { keys, clock, any: Mutex::default(), answers: Cache::new(KEPT) });
        self
    }

    /// The grant of the request's key; `None` for a request without one of our keys.
    ///
    /// # Errors
    /// `Unauthenticated` for a key that is unknown, revoked or expired; `Unavailable` when the storage does not answer.
    pub async fn find(&self, credentials: &Credentials) -> Result<Option<KeyGrant>> {
        let Some(key) = key_of(credentials) else { return Ok(None) };
        let hash = ApiKeyHash::of(key);
        let mut grant = self.configured(&hash)?;
        if let (None, Some(stored)) = (&grant, &self.stored) {
            grant = stored.find(hash).await?.map(KeyGrant::from);
        }
        match grant {
            Some(grant) => Ok(Some(grant)),
            None => Err(Refusal::new(401, "Invalid API key").into()),
        }
    }

    /// Whether any key exists, also a revoked or expired one: an installation that has created keys expects them on
    /// every request. Every server notices the first key within [`KeyRing::FRESH`].
    ///
    /// # Errors
    /// `Unavailable` when the storage does not answer.
    pub async fn has_any(&self) -> Result<bool> {
        match &self.stored {
            _ if !self.records.is_empty() => Ok(true),
            Some(stored) => stored.has_any().await,
            None => Ok(false),
        }
    }

    /// Compares every record in constant time, so that the response time reveals nothing about the keys.
    fn configured(&self, hash: &ApiKeyHash) -> Result<Option<KeyGrant>> {
        let mut found = None;
        for record in &self.records {
            if record.is_of(hash) {
                found = Some(record);
            }
        }
        found.map(KeyGrant::of).transpose()
    }
}

impl Stored {
    async fn has_any(&self) -> Result<bool> {
        let (now, known) = (self.clock.now(), *self.any.lock());
        match known {
            // Rows of keys are never removed.
            Some((_, true)) => Ok(true),
            Some((at, any)) if is_fresh(at, now) => Ok(any),
            _ => {
                let any = !self.keys.list_api_keys(None).await?.is_empty();
                *self.any.lock() = Some((now, any));
                Ok(any)
            }
        }
    }

    async fn find(&self, hash: ApiKeyHash) -> Result<Option<StoredApiKey>> {
        let now = self.clock.now();
        let key = match self.answers.get(&hash).filter(|(at, _)| is_fresh(*at, now)) {
            Some((_, key)) => key,
            None => {
                let key = self.keys.api_key_of_hash(&hash).await?;
                self.answers.insert(hash, (now, key.clone()));
                if let Some(key) = key.as_ref().filter(|key| key.is_valid(now)) {
                    self.note_use(key, now);
                }
                key
            }
        };
        Ok(key.filter(|key| key.is_valid(now)))
    }

    /// Runs in the background; no caller waits for it, and a failure has no effect.
    fn note_use(&self, key: &StoredApiKey, now: Timestamp) {
        if key.last_used_at.is_some_and(|at| now.since(at) < NOTED_EVERY) {
            return;
        }
        let (keys, id): (_, ApiKeyId) = (Arc::clone(&self.keys), key.key_id);
        tokio::spawn(async move {
            if let Err(error) = keys.touch_api_key(id).await {
                tracing::warn!(key_id = %id, %error, "it was not noted that a key was used");
            }
        });
    }
}

/// Whether an answer of that time is still usable. An answer from the future, after the clock went back, is not.
fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.since(at) < KeyRing::FRESH
}

impl KeyGrant {
    fn of(record: &ApiKeyRecord) -> Result<Self> {
        Ok(Self {
            scope: KeyScope::Deployment(record.tenant()?),
            role: record.role.unwrap_or(Role::Admin),
            name: record.name.clone(),
            identity: record.identity.clone().unwrap_or_else(|| record.name.clone()),
            permissions: record.permissions.clone(),
        })
    }
}

impl From<StoredApiKey> for KeyGrant {
    fn from(key: StoredApiKey) -> Self {
        Self { scope: key.scope, role: key.role, identity: key.name.clone(), name: key.name, permissions: Vec::new() }
    }
}

/// The credential of a request that has the key prefix.
fn key_of(credentials: &Credentials) -> Option<&str> {
    let bearer = || {
        let (scheme, key) = credentials.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key)
    };
    let ours = |key: &&str| key.starts_with(PREFIX);
    credentials.header("x-api-key").map(str::trim).filter(ours).or_else(|| bearer().map(str::trim).filter(ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn a_key_is_for_the_deployments_of_its_scope() {
        let grant = |scope: &str| KeyGrant {
            scope: KeyScope::parse(scope).unwrap(),
            role: Role::Viewer,
            name: "ci".to_owned(),
            identity: "ci".to_owned(),
            permissions: Vec::new(),
        };
        let in_tenant = |scope: &str, named: Option<&str>| {
            let named = named.map(|named| Tenant::parse(named).unwrap());
            let identity = grant(scope).identity(named.as_ref());
            identity.map(|identity| identity.tenant.to_string()).map_err(|error: Error| error.kind())
        };
        assert_eq!(in_tenant("a/b/c", None), Ok("a/b/c".to_owned()));
        assert_eq!(in_tenant("a/b/*", Some("a/b/c")), Ok("a/b/c".to_owned()));
        assert_eq!(in_tenant("a/b/*", None), Err(ErrorKind::Invalid));
        assert_eq!(in_tenant("a/b/*", Some("a/x/c")), Err(ErrorKind::Forbidden));
        assert_eq!(in_tenant("a/b/c", Some("a/b/d")), Err(ErrorKind::Forbidden));
    }
}
