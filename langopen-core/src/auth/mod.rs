//! Who calls, and what that caller may do.

mod api_key;
mod api_key_auth;
mod decision;
mod key_ring;
mod key_scope;
mod refusal;
mod role;

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use crate::error::Result;
use crate::filter::MetadataFilter;
use crate::json::JsonMap;
use crate::tenant::{Scope, Tenant};

pub use api_key::{ApiKey, ApiKeyHash, ApiKeyRecord};
pub use api_key_auth::ApiKeyAuth;
pub use key_ring::{KeyGrant, KeyRing};
pub use key_scope::KeyScope;
pub use refusal::Refusal;
pub use role::Role;

/// What an authenticator sees of a request. Its `Debug` shows no header, query or body, because they hold secrets.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The HTTP method.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The query without its `?`, as sent; empty if there is none.
    pub query: String,
    /// The path's parameters.
    pub path_params: Vec<(String, String)>,
    /// Header names in lower case, with their values as text.
    pub headers: Vec<(String, String)>,
    /// The request's body, if [`Auth::needs_body`] asks for it.
    pub body: Option<Bytes>,
    /// The peer address of the connection, if known. Behind a proxy it is the proxy's.
    pub peer: Option<IpAddr>,
    /// The deployment that the request names, where the server serves several.
    pub tenant: Option<Tenant>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
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
    /// The tenant in which the caller acts.
    pub tenant: Tenant,
    /// The user's name or id; empty for an anonymous one.
    pub identity: String,
    /// The most that the platform lets the caller do. `None` sets no bound: [`Auth::authorize`] alone decides.
    pub role: Option<Role>,
    /// The user's permissions, in the application's own words.
    pub permissions: Vec<String>,
    /// The user as graphs see it (`langgraph_auth_user`); `None` when there is no user.
    pub user: Option<JsonMap>,
}

/// The kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum Resource {
    Assistants,
    Threads,
    Crons,
    Store,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Assistants, Self::Threads, Self::Crons, Self::Store];

    /// Its name on the wire, e.g. `threads`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::Threads => "threads",
            Self::Crons => "crons",
            Self::Store => "store",
        }
    }

    /// The actions on it.
    pub fn actions(self) -> &'static [Action] {
        use Action::{Create, CreateRun, Delete, Get, ListNamespaces, Put, Read, Search, Update};
        match self {
            Self::Assistants | Self::Crons => &[Create, Read, Update, Delete, Search],
            Self::Threads => &[Create, Read, Update, Delete, Search, CreateRun],
            Self::Store => &[Put, Get, Search, ListNamespaces, Delete],
        }
    }
}

/// The action on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
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

impl Action {
    /// Its name on the wire, e.g. `create_run`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Search => "search",
            Self::CreateRun => "create_run",
            Self::Put => "put",
            Self::Get => "get",
            Self::ListNamespaces => "list_namespaces",
        }
    }
}

/// What an authorizer decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The request may continue.
    Allow,
    /// The request may continue with the rows whose metadata matches.
    Filter(MetadataFilter),
    /// The request is refused with 403.
    Deny,
}

/// Authenticates and authorizes callers. An implementor must decide on the server's own knowledge, never on a role that
/// the client claims, and must refuse when it cannot decide.
#[async_trait]
pub trait Auth: Send + Sync + 'static {
    /// Authenticates a request. If the request names a [`tenant`](Credentials::tenant), an implementor must answer that
    /// tenant or refuse.
    ///
    /// # Errors
    /// `Unauthenticated` (401) or `Forbidden` (403) with a message for the client; a [`Refusal`] to choose status and
    /// headers too. `Unavailable` (503) when the implementor cannot decide now.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity>;

    /// Decides whether `identity` may act, and on which rows. `value` is the request's data: an object with the fields
    /// that the Agent Server documents for this pair. Changes to it take effect, so an implementor can stamp an owner
    /// into the metadata. A field must keep its type.
    ///
    /// # Errors
    /// A [`Refusal`] for a chosen answer; otherwise as [`Auth::authenticate`].
    async fn authorize(
        &self,
        identity: &Identity,
        resource: Resource,
        action: Action,
        value: &mut Value,
    ) -> Result<Decision>;

    /// Whether [`Auth::authorize`] decides about this pair at all. `false` allows, and saves the caller from building
    /// `value`.
    fn authorizes(&self, resource: Resource, action: Action) -> bool {
        let _ = (resource, action);
        true
    }

    /// Whether [`Auth::authenticate`] needs [`Credentials::body`]. Then the server reads each body before it
    /// authenticates.
    fn needs_body(&self) -> bool {
        false
    }
}

/// Allows everybody everything.
#[derive(Debug, Clone, Default)]
pub struct OpenAuth {
    /// The tenant of requests that name no deployment.
    pub tenant: Tenant,
}

#[async_trait]
impl Auth for OpenAuth {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        Ok(Identity::anonymous(credentials.tenant.clone().unwrap_or_else(|| self.tenant.clone())))
    }

    async fn authorize(&self, _: &Identity, _: Resource, _: Action, _: &mut Value) -> Result<Decision> {
        Ok(Decision::Allow)
    }

    fn authorizes(&self, _: Resource, _: Action) -> bool {
        false
    }
}

impl Identity {
    /// An anonymous caller.
    pub fn anonymous(tenant: Tenant) -> Self {
        Self { tenant, identity: String::new(), role: None, permissions: Vec::new(), user: None }
    }

    /// The scope of a decision; `None` when it denies.
    pub fn scope(&self, decision: Decision) -> Option<Scope> {
        let filter = match decision {
            Decision::Allow => None,
            Decision::Filter(filter) => Some(filter),
            Decision::Deny => return None,
        };
        Some(Scope { tenant: self.tenant.clone(), filter })
    }
}
