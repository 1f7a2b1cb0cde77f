//! Tokens: claims and their signature, as `claims.signature` in base64.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use langopen_core::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The content of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The user's name.
    pub user: String,
    /// Whether the user may see the resources of others.
    #[serde(default)]
    pub admin: bool,
    /// The expiry time, in milliseconds since 1970.
    pub expires_at: i64,
}

/// Signs tokens and verifies their signatures.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// Signs with a secret, which should be 32 random bytes.
    ///
    /// # Errors
    /// HMAC accepts secrets of every length, so this never fails.
    pub fn new(secret: &[u8]) -> Result<Self> {
        let mac = Hmac::new_from_slice(secret);
        mac.map(Self).map_err(|error| Error::invalid("signer.new", error.to_string()))
    }

    /// Creates a token for a user that your login has identified.
    ///
    /// # Errors
    /// `Internal` if the claims have no JSON form. Claims always have one.
    pub fn sign(&self, claims: &Claims) -> Result<String> {
        let claims = serde_json::to_vec(claims)
            .map_err(|error| Error::internal("signer.sign", "the claims have no JSON form").with_source(error))?;
        let signature = self.0.clone().chain_update(&claims).finalize().into_bytes();
        Ok(format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims), BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of a token, if this signer has signed it.
    pub fn verify(&self, token: &str) -> Option<Claims> {
        let (claims, signature) = token.split_once('.')?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        // The comparison takes constant time.
        self.0.clone().chain_update(&claims).verify_slice(&signature).ok()?;
        serde_json::from_slice(&claims).ok()
    }
}
