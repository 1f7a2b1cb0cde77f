use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Action, Auth, Credentials, Decision, Identity, Refusal, Resource};
use crate::error::{Error, Result};
use crate::tenant::Tenant;

/// What every key begins with, so that people and secret scanners know one when they see it.
const PREFIX: &str = "lok_";

/// A secret that lets its bearer in: `lok_` and 32 random bytes. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// `Internal` when the system has none.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::internal("api_key.generate", format!("the system gives no randomness: {error}")))?;
        Ok(Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text, to be shown once to whom it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// How it begins: enough for people to know it by, far too little to use.
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX.len() + 6]
    }

    /// What a server keeps of it.
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash::of(&self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

/// The SHA-256 of a key, written `sha256:` and 64 hexadecimal digits. A key has 256 random bits, so a plain hash cannot be guessed backwards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ApiKeyHash([u8; 32]);

impl ApiKeyHash {
    fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl fmt::Display for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:***")
    }
}

impl From<ApiKeyHash> for String {
    fn from(hash: ApiKeyHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ApiKeyHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for ApiKeyHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a key's hash must be sha256: and 64 hexadecimal digits".to_owned();
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii());
        let digits = digits.ok_or_else(wrong)?;
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// A key as the server keeps it: whose it is, and what it grants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRecord {
    /// For people; unique.
    pub name: String,
    /// Of the key.
    pub hash: ApiKeyHash,
    /// Who its bearer is; the name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Where its bearer acts, `organization/project/deployment`; the default tenant if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What its bearer was granted, in the application's own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
}

impl ApiKeyRecord {
    /// Where the key's bearer acts.
    ///
    /// # Errors
    /// `Invalid` for a tenant that is none.
    pub fn tenant(&self) -> Result<Tenant> {
        self.tenant.as_deref().map_or_else(|| Ok(Tenant::default()), Tenant::parse)
    }

    fn identity(&self) -> Result<Identity> {
        let identity = self.identity.clone().unwrap_or_else(|| self.name.clone());
        let user = json!({
            "identity": identity, "is_authenticated": true, "display_name": self.name, "permissions": self.permissions,
            "kind": "ApiKey",
        });
        Ok(Identity {
            tenant: self.tenant()?,
            identity,
            permissions: self.permissions.clone(),
            user: user.as_object().cloned(),
        })
    }
}

/// Lets bearers of API keys in, by `x-api-key: KEY` or `authorization: Bearer KEY`.
///
/// A credential that looks like one of our keys is decided here and nowhere else. Every other request goes to the login that
/// [`ApiKeyAuth::with_fallback`] names, and is refused where there is none. That login also authorizes the bearers of keys, so that its rules
/// hold for all; without it a key may do everything in its tenant.
pub struct ApiKeyAuth {
    records: Vec<ApiKeyRecord>,
    fallback: Option<Arc<dyn Auth>>,
}

impl ApiKeyAuth {
    /// Knows these keys.
    pub fn new(records: Vec<ApiKeyRecord>) -> Self {
        Self { records, fallback: None }
    }

    /// Asks `fallback` who sends a request without one of our keys, and what anybody may do.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Arc<dyn Auth>) -> Self {
        self.fallback = Some(fallback);
        self
    }

    /// The record of a key. Every record is compared, each in constant time, so that the time tells nothing about the keys that there are.
    fn find(&self, key: &str) -> Option<&ApiKeyRecord> {
        let hash = ApiKeyHash::of(key);
        let mut found = None;
        for record in &self.records {
            if bool::from(record.hash.0.ct_eq(&hash.0)) {
                found = Some(record);
            }
        }
        found
    }
}

/// The credential of a request that looks like one of our keys.
fn key_of(credentials: &Credentials) -> Option<&str> {
    let bearer = || {
        let (scheme, key) = credentials.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key)
    };
    let ours = |key: &&str| key.starts_with(PREFIX);
    credentials.header("x-api-key").map(str::trim).filter(ours).or_else(|| bearer().map(str::trim).filter(ours))
}

#[async_trait]
impl Auth for ApiKeyAuth {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        match (key_of(credentials), &self.fallback) {
            (Some(key), _) => match self.find(key) {
                Some(record) => record.identity(),
                None => Err(Refusal::new(401, "Invalid API key").into()),
            },
            (None, Some(fallback)) => fallback.authenticate(credentials).await,
            (None, None) => {
                Err(Refusal::new(401, "An API key is required").header("www-authenticate", "Bearer").into())
            }
        }
    }

    async fn authorize(
        &self,
        identity: &Identity,
        resource: Resource,
        action: Action,
        value: &mut Value,
    ) -> Result<Decision> {
        match &self.fallback {
            Some(fallback) => fallback.authorize(identity, resource, action, value).await,
            None => Ok(Decision::Allow),
        }
    }

    fn authorizes(&self, resource: Resource, action: Action) -> bool {
        self.fallback.as_ref().is_some_and(|fallback| fallback.authorizes(resource, action))
    }

    fn needs_body(&self) -> bool {
        self.fallback.as_ref().is_some_and(|fallback| fallback.needs_body())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::OpenAuth;
    use crate::error::ErrorKind;

    fn with(name: &str, value: &str) -> Credentials {
        Credentials { headers: vec![(name.to_owned(), value.to_owned())], ..Credentials::default() }
    }

    fn record(name: &str, hash: ApiKeyHash) -> ApiKeyRecord {
        ApiKeyRecord {
            name: name.to_owned(),
            hash,
            identity: Some(format!("{name}@example.org")),
            tenant: Some("acme/web/prod".to_owned()),
            permissions: vec!["read".to_owned()],
        }
    }

    #[tokio::test]
    async fn a_key_lets_its_bearer_in() {
        let (key, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_ne!(key.expose(), other.expose());
        assert_eq!(key.expose().len(), PREFIX.len() + 43);
        let auth = ApiKeyAuth::new(vec![record("a", ApiKey::generate().unwrap().hash()), record("b", key.hash())]);
        let bearer = format!("Bearer {}", key.expose());
        for credentials in [with("x-api-key", key.expose()), with("authorization", &bearer)] {
            let identity = auth.authenticate(&credentials).await.unwrap();
            assert_eq!((identity.identity.as_str(), identity.tenant.as_str()), ("b@example.org", "acme/web/prod"));
            assert_eq!(identity.permissions, ["read"]);
        }
        for credentials in [
            with("x-api-key", other.expose()),
            with("x-api-key", &key.expose()[..20]),
            with("x-api-key", "lsv2_something"),
            with("authorization", key.expose()),
            Credentials::default(),
        ] {
            let refused = auth.authenticate(&credentials).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
        }
    }

    #[tokio::test]
    async fn other_credentials_go_to_the_other_login() {
        let auth = ApiKeyAuth::new(Vec::new()).with_fallback(Arc::new(OpenAuth::default()));
        assert!(auth.authenticate(&with("x-api-key", "lsv2_something")).await.is_ok());
        assert!(
            auth.authenticate(&with("x-api-key", "lok_wrong")).await.is_err(),
            "a key of ours is decided by us alone"
        );
    }

    #[test]
    fn records_are_read_and_secrets_are_not_shown() {
        let key = ApiKey::generate().unwrap();
        let record = record("a", key.hash());
        let text = serde_json::to_string(&record).unwrap();
        let read: ApiKeyRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(read.hash, key.hash());
        assert!(!format!("{key:?} {record:?}").contains(&key.hash().to_string()[10..]));
        for hash in ["", "sha256:", "sha256:zz", &format!("sha256:{}", "é".repeat(32)), &key.hash().to_string()[7..]] {
            assert!(hash.parse::<ApiKeyHash>().is_err(), "{hash}");
        }
    }
}
