use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::{Action, ApiKeyRecord, Auth, Credentials, Decision, Identity, KeyRing, Refusal, Resource};
use crate::error::Result;

/// Admits bearers of API keys, by `x-api-key: KEY` or `authorization: Bearer KEY`.
///
/// This type alone decides about a credential with the key prefix. Every other request goes to the login of
/// [`ApiKeyAuth::with_fallback`], or is refused without one. That login also authorizes the bearers of keys, so its
/// rules hold for all callers, besides the key's role. Without it, a key's role alone decides.
pub struct ApiKeyAuth {
    keys: Arc<KeyRing>,
    fallback: Option<Arc<dyn Auth>>,
    open: Option<Arc<dyn Auth>>,
}

impl ApiKeyAuth {
    /// Admits these keys.
    pub fn new(records: Vec<ApiKeyRecord>) -> Self {
        Self::of(Arc::new(KeyRing::new(records)))
    }

    /// Admits the keys of this ring.
    pub fn of(keys: Arc<KeyRing>) -> Self {
        Self { keys, fallback: None, open: None }
    }

    /// Lets `open` decide, where there is no other login, until the first key exists ([`KeyRing::has_any`]).
    #[must_use]
    pub fn until_first_key(mut self, open: Arc<dyn Auth>) -> Self {
        self.open = Some(open);
        self
    }

    /// Lets `fallback` authenticate requests without a key, and authorize all requests.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Arc<dyn Auth>) -> Self {
        self.fallback = Some(fallback);
        self
    }
}

#[async_trait]
impl Auth for ApiKeyAuth {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        match (self.keys.find(credentials).await?, &self.fallback) {
            (Some(grant), _) => grant.identity(credentials.tenant.as_ref()),
            (None, Some(fallback)) => fallback.authenticate(credentials).await,
            (None, None) => match &self.open {
                Some(open) if !self.keys.has_any().await? => open.authenticate(credentials).await,
                _ => Err(Refusal::new(401, "An API key is required").header("www-authenticate", "Bearer").into()),
            },
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
    use crate::auth::{ApiKey, ApiKeyHash, OpenAuth, Role};
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
            role: None,
            permissions: vec!["read".to_owned()],
        }
    }

    #[tokio::test]
    async fn a_key_lets_its_bearer_in() {
        let (key, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_ne!(key.expose(), other.expose());
        let auth = ApiKeyAuth::new(vec![record("a", ApiKey::generate().unwrap().hash()), record("b", key.hash())]);
        let bearer = format!("Bearer {}", key.expose());
        for credentials in [with("x-api-key", key.expose()), with("authorization", &bearer)] {
            let identity = auth.authenticate(&credentials).await.unwrap();
            assert_eq!((identity.identity.as_str(), identity.tenant.as_str()), ("b@example.org", "acme/web/prod"));
            assert_eq!((identity.permissions, identity.role), (vec!["read".to_owned()], Some(Role::Admin)));
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
    async fn a_server_is_open_until_there_is_a_key() {
        let open = || Arc::new(OpenAuth::default());
        let none = ApiKeyAuth::new(Vec::new()).until_first_key(open());
        assert!(none.authenticate(&Credentials::default()).await.is_ok());
        assert!(none.authenticate(&with("x-api-key", "lok_wrong")).await.is_err(), "a key must be one");
        let some = ApiKeyAuth::new(vec![record("a", ApiKey::generate().unwrap().hash())]).until_first_key(open());
        assert!(some.authenticate(&Credentials::default()).await.is_err());
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
}
