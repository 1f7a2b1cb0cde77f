//! Admits LangSmith Studio on a developer's own machine.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use langopen_core::auth::{Action, Auth, Credentials, Decision, Identity, KeyRing, Resource};
use langopen_core::error::Result;
use langopen_core::tenant::Tenant;

use crate::http::host::is_loopback;

/// The header with which Studio asks for access without a login.
const HEADER: (&str, &str) = ("x-auth-scheme", "langsmith");

/// Headers that a proxy adds. Behind a proxy, the peer address is not the client's.
const PROXIED: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// Admits Studio beside another login, as the user `langgraph-studio-user`.
///
/// Any client can send the `x-auth-scheme` header. So the server accepts it only if the request comes from this machine
/// without a proxy, and its `Origin`, if any, is Studio's or this machine's. Use it only on a server that listens on a
/// loopback address.
pub struct StudioAuth {
    inner: Arc<dyn Auth>,
    tenant: Tenant,
    keys: Option<Arc<KeyRing>>,
}

impl StudioAuth {
    /// The name of the user.
    pub const USER: &str = "langgraph-studio-user";

    /// Authenticates all other callers with `inner`.
    pub fn new(inner: Arc<dyn Auth>) -> Self {
        Self { inner, tenant: Tenant::default(), keys: None }
    }

    /// Admits Studio only until the first API key exists.
    #[must_use]
    pub fn until_first_key(mut self, keys: Arc<KeyRing>) -> Self {
        self.keys = Some(keys);
        self
    }

    async fn has_keys(&self) -> Result<bool> {
        match &self.keys {
            Some(keys) => keys.has_any().await,
            None => Ok(false),
        }
    }

    fn is_studio(credentials: &Credentials) -> bool {
        credentials.header(HEADER.0) == Some(HEADER.1)
            && credentials.peer.is_some_and(|peer| peer.to_canonical().is_loopback())
            && PROXIED.iter().all(|name| credentials.header(name).is_none())
            && credentials.header("origin").is_none_or(is_trusted)
    }
}

/// Whether a web page of this origin may act as Studio: an origin of Studio, or one of this machine.
fn is_trusted(origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    match scheme {
        "https" if host == "smith.langchain.com" || host.ends_with(".smith.langchain.com") => true,
        "http" | "https" => is_loopback(host),
        _ => false,
    }
}

#[async_trait]
impl Auth for StudioAuth {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        if !Self::is_studio(credentials) || self.has_keys().await? {
            return self.inner.authenticate(credentials).await;
        }
        let permissions = vec!["authenticated".to_owned()];
        let user = json!({
            "identity": Self::USER, "is_authenticated": true, "display_name": Self::USER, "permissions": permissions,
            "kind": "StudioUser",
        });
        Ok(Identity {
            tenant: credentials.tenant.clone().unwrap_or_else(|| self.tenant.clone()),
            identity: Self::USER.to_owned(),
            role: None,
            permissions,
            user: user.as_object().cloned(),
        })
    }

    async fn authorize(
        &self,
        identity: &Identity,
        resource: Resource,
        action: Action,
        value: &mut Value,
    ) -> Result<Decision> {
        self.inner.authorize(identity, resource, action, value).await
    }

    fn authorizes(&self, resource: Resource, action: Action) -> bool {
        self.inner.authorizes(resource, action)
    }

    fn needs_body(&self) -> bool {
        self.inner.needs_body()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use langopen_core::auth::ApiKeyAuth;

    async fn gets_in(peer: Option<&str>, headers: &[(&str, &str)]) -> bool {
        let auth = StudioAuth::new(Arc::new(ApiKeyAuth::new(Vec::new())));
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let peer = peer.map(|peer| peer.parse().unwrap());
        let asked = auth.authenticate(&Credentials { headers, peer, ..Credentials::default() }).await;
        asked.is_ok_and(|identity| identity.identity == StudioAuth::USER)
    }

    #[tokio::test]
    async fn only_this_machine_can_be_studio() {
        for peer in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(gets_in(Some(peer), &[HEADER]).await, "{peer}");
        }
        for origin in [
            "https://smith.langchain.com",
            "https://eu.smith.langchain.com",
            "http://localhost:3000",
            "http://[::1]:80",
        ] {
            assert!(gets_in(Some("127.0.0.1"), &[HEADER, ("origin", origin)]).await, "{origin}");
        }
        assert!(!gets_in(None, &[HEADER]).await);
        assert!(!gets_in(Some("192.168.1.2"), &[HEADER]).await);
        assert!(!gets_in(Some("127.0.0.1"), &[]).await);
        assert!(!gets_in(Some("127.0.0.1"), &[("x-auth-scheme", "other")]).await);
        assert!(!gets_in(Some("127.0.0.1"), &[HEADER, ("x-forwarded-for", "127.0.0.1")]).await);
        for origin in [
            "https://evil.example",
            "https://smith.langchain.com.evil.example",
            "https://evilsmith.langchain.com",
            "http://smith.langchain.com",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example:80",
            "null",
        ] {
            assert!(!gets_in(Some("127.0.0.1"), &[HEADER, ("origin", origin)]).await, "{origin}");
        }
    }
}
