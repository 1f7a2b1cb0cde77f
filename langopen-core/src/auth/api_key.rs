use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Role;
use crate::error::{Error, Result};
use crate::tenant::Tenant;

/// The prefix of every key, by which people and secret scanners recognise one.
pub(super) const PREFIX: &str = "lok_";

/// A secret that admits its bearer: `lok_` and 32 random bytes. Its `Debug` shows nothing.
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

    /// The text. Show it once, to the key's owner.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first characters: enough to recognise the key, too few to use it.
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX.len() + 6]
    }

    /// The hash that a server stores.
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash::of(&self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

/// The SHA-256 of a key, written `sha256:` and 64 hexadecimal digits. A key has 256 random bits, so a plain hash is
/// safe from guessing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ApiKeyHash([u8; 32]);

impl ApiKeyHash {
    pub(super) fn of(key: &str) -> Self {
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

/// A key as the server stores it, with what it grants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRecord {
    /// For people; unique.
    pub name: String,
    /// The key's hash.
    pub hash: ApiKeyHash,
    /// The identity of its bearer; the key's name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The bearer's tenant, `organization/project/deployment`; the default tenant if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The bearer's role; admin if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The bearer's permissions, in the application's own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
}

impl ApiKeyRecord {
    /// The bearer's tenant.
    ///
    /// # Errors
    /// `Invalid` for a malformed tenant.
    pub fn tenant(&self) -> Result<Tenant> {
        self.tenant.as_deref().map_or_else(|| Ok(Tenant::default()), Tenant::parse)
    }

    pub(super) fn is_of(&self, hash: &ApiKeyHash) -> bool {
        bool::from(self.hash.0.ct_eq(&hash.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_secrets_are_not_shown() {
        let key = ApiKey::generate().unwrap();
        let record = ApiKeyRecord {
            name: "a".to_owned(),
            hash: key.hash(),
            identity: None,
            tenant: Some("acme/web/prod".to_owned()),
            role: Some(Role::Viewer),
            permissions: Vec::new(),
        };
        let text = serde_json::to_string(&record).unwrap();
        let read: ApiKeyRecord = serde_json::from_str(&text).unwrap();
        assert_eq!((read.hash, read.role), (key.hash(), Some(Role::Viewer)));
        assert!(!format!("{key:?} {record:?}").contains(&key.hash().to_string()[10..]));
        assert_eq!(key.expose().len(), PREFIX.len() + 43);
        assert!(key.expose().starts_with(key.prefix()) && key.prefix().len() == PREFIX.len() + 6);
        for hash in ["", "sha256:", "sha256:zz", &format!("sha256:{}", "é".repeat(32)), &key.hash().to_string()[7..]] {
            assert!(hash.parse::<ApiKeyHash>().is_err(), "{hash}");
        }
    }
}
