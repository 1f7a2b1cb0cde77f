//! Who asks, and what they may do.

use async_trait::async_trait;
use serde_json::Value;

use crate::error::Result;
use crate::filter::MetadataFilter;
use crate::json::JsonMap;
use crate::tenant::{Scope, Tenant};

/// What an authenticator sees of a request.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Header names in lower case, with their values as text.
    pub headers: Vec<(String, String)>,
}

impl Credentials {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Where the caller's requests act.
    pub tenant: Tenant,
    /// The user's name or id; empty for an anonymous one.
    pub identity: String,
    /// What the user was granted, in the application's own words.
    pub permissions: Vec<String>,
    /// The user as graphs see it (`langgraph_auth_user`); `None` when there is no user.
    pub user: Option<JsonMap>,
}

/// The kind of thing that is acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Resource {
    Assistants,
    Threads,
    Crons,
    Store,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Create,
    Read,
    Update,
    Delete,
    Search,
    CreateRun,
    Put,
    Get,
    ListNamespaces,
}

/// What an authorizer decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Go on.
    Allow,
    /// Go on with the rows whose metadata passes.
    Filter(MetadataFilter),
    /// Stop: 403.
    Deny,
}

/// Who asks, and what they may do. An implementor must decide both on the server's own knowledge, never on a role that the client claims.
#[async_trait]
pub trait Auth: Send + Sync + 'static {
    /// Finds out who asks.
    ///
    /// # Errors
    /// `Unauthenticated` (401) or `Forbidden` (403) with a message for the client.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity>;

    /// Decides whether `identity` may act, and on which rows. `value` is the request's data; changes to it take effect, so a handler can
    /// stamp an owner into the metadata.
    async fn authorize(
        &self,
        identity: &Identity,
        resource: Resource,
        action: Action,
        value: &mut Value,
    ) -> Result<Decision>;

    /// Whether [`Auth::authorize`] looks at all; `false` spares the caller building `value`.
    fn authorizes(&self) -> bool {
        true
    }
}

/// Lets everybody do everything in one tenant.
#[derive(Debug, Clone, Default)]
pub struct OpenAuth {
    /// Where requests act.
    pub tenant: Tenant,
}

#[async_trait]
impl Auth for OpenAuth {
    async fn authenticate(&self, _: &Credentials) -> Result<Identity> {
        Ok(Identity { tenant: self.tenant.clone(), identity: String::new(), permissions: Vec::new(), user: None })
    }

    async fn authorize(&self, _: &Identity, _: Resource, _: Action, _: &mut Value) -> Result<Decision> {
        Ok(Decision::Allow)
    }

    fn authorizes(&self) -> bool {
        false
    }
}

impl Identity {
    /// The scope that a decision leaves, or `None` when it denies.
    pub fn scope(&self, decision: Decision) -> Option<Scope> {
        let filter = match decision {
            Decision::Allow => None,
            Decision::Filter(filter) => Some(filter),
            Decision::Deny => return None,
        };
        Some(Scope { tenant: self.tenant.clone(), filter })
    }
}
