//! The access rules: each user owns the resources that they create, and has a separate part of the store.

use std::sync::Arc;

use async_trait::async_trait;
use langopen_core::auth::{Action, Auth, Credentials, Decision, Identity, Refusal, Resource};
use langopen_core::filter::MetadataFilter;
use langopen_core::{Clock, Result, Tenant};
use serde_json::{Value, json};

use crate::Signer;

/// The permission to see the resources of all users.
const ADMIN: &str = "admin";

/// Authenticates and authorizes callers.
pub struct Owners {
    signer: Signer,
    clock: Arc<dyn Clock>,
}

impl Owners {
    /// Accepts tokens of this signer that have not expired.
    pub fn new(signer: Signer, clock: Arc<dyn Clock>) -> Self {
        Self { signer, clock }
    }
}

#[async_trait]
impl Auth for Owners {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        let refuse = |why: &str| Refusal::new(401, why).header("www-authenticate", "Bearer");
        let token = credentials.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let claims = self.signer.verify(token.ok_or_else(|| refuse("A token is required"))?);
        let claims = claims.ok_or_else(|| refuse("The token has no valid signature"))?;
        if claims.expires_at <= self.clock.now().as_millis() {
            return Err(refuse("The token has expired").into());
        }
        let permissions = if claims.admin { vec![ADMIN.to_owned()] } else { Vec::new() };
        let user = json!({"identity": claims.user, "permissions": permissions});
        Ok(Identity {
            tenant: Tenant::default(),
            identity: claims.user,
            role: None,
            permissions,
            user: user.as_object().cloned(),
        })
    }

    async fn authorize(&self, who: &Identity, what: Resource, action: Action, value: &mut Value) -> Result<Decision> {
        let owner = Value::from(who.identity.clone());
        // Every new resource records its owner, even if an admin creates it.
        if matches!(action, Action::Create | Action::CreateRun) {
            value["metadata"]["owner"] = owner.clone();
        }
        if what == Resource::Store {
            let labels = value["namespace"].as_array().cloned().unwrap_or_default();
            value["namespace"] = std::iter::once(owner).chain(labels).collect();
            return Ok(Decision::Allow);
        }
        if who.permissions.iter().any(|permission| permission == ADMIN) {
            return Ok(Decision::Allow);
        }
        let own = MetadataFilter::Equals("owner".to_owned(), owner);
        Ok(match (what, action) {
            // Every graph has a system assistant. All users may use it, and none may change it.
            (Resource::Assistants, Action::Read | Action::Search) => {
                let system = MetadataFilter::Equals("created_by".to_owned(), "system".into());
                Decision::Filter(MetadataFilter::Any(vec![own, system]))
            }
            _ => Decision::Filter(own),
        })
    }
}
