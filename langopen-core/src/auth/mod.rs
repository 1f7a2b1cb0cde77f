//! Who asks, and what they may do.

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

/// What an authenticator sees of a request. Its `Debug` shows no header, query or body: they hold secrets.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The HTTP method.
    pub method: String,
    /// The path, as it was written.
    pub path: String,
    /// What follows the `?`, as it was written; empty if nothing does.
    pub query: String,
    /// The parts of the path that the route names.
    pub path_params: Vec<(String, String)>,
    /// Header names in lower case, with their values as text.
    pub headers: Vec<(String, String)>,
    /// The request's body, if [`Auth::needs_body`] asks for it.
    pub body: Option<Bytes>,
    /// The other end of the connection, if the server knows it: a proxy's address where there is one.
    pub peer: Option<IpAddr>,
    /// The deployment that the request is for, where the server serves several; the request may be for no other.
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
    /// Where the caller's requests act.
    pub tenant: Tenant,
    /// The user's name or id; empty for an anonymous one.
    pub identity: String,
    /// What the platform itself lets the caller do at most; `None` sets no bound, so that [`Auth::authorize`] alone decides.
    pub role: Option<Role>,
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

    /// What can be done to it.
    pub fn actions(self) -> &'static [Action] {
        use Action::{Create, CreateRun, Delete, Get, ListNamespaces, Put, Read, Search, Update};
        match self {
            Self::Assistants | Self::Crons => &[Create, Read, Update, Delete, Search],
            Self::Threads => &[Create, Read, Update, Delete, Search, CreateRun],
            Self::Store => &[Put, Get, Search, ListNamespaces, Delete],
        }
    }
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
    /// Go on.
    Allow,
    /// Go on with the rows whose metadata passes.
    Filter(MetadataFilter),
    /// Stop: 403.
    Deny,
}

/// Who asks, and what they may do. An implementor must decide both on the server's own knowledge, never on a role that the client claims, and
/// must refuse when it cannot decide.
#[async_trait]
pub trait Auth: Send + Sync + 'static {
    /// Finds out who asks. An implementor that is told for which [`tenant`](Credentials::tenant) must answer that one, or refuse.
    ///
    /// # Errors
    /// `Unauthenticated` (401) or `Forbidden` (403) with a message for the client; a [`Refusal`] to choose status and headers too.
    /// `Unavailable` (503) when it cannot be found out now.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity>;

    /// Decides whether `identity` may act, and on which rows. `value` is the request's data, an object with the fields that the Agent
    /// Server documents for this pair; changes to it take effect, so an implementor can stamp an owner into the metadata. A field must keep
    /// its type.
    ///
    /// # Errors
    /// A [`Refusal`] to answer it as it is; otherwise as [`Auth::authenticate`].
    async fn authorize(
        &self,
        identity: &Identity,
        resource: Resource,
        action: Action,
        value: &mut Value,
    ) -> Result<Decision>;

    /// Whether [`Auth::authorize`] looks at this pair at all; `false` spares the caller building `value`, and allows.
    fn authorizes(&self, resource: Resource, action: Action) -> bool {
        let _ = (resource, action);
        true
    }

    /// Whether [`Auth::authenticate`] wants [`Credentials::body`]: then each body is read whole before anything else.
    fn needs_body(&self) -> bool {
        false
    }
}

/// Lets everybody do everything.
#[derive(Debug, Clone, Default)]
pub struct OpenAuth {
    /// Where requests act that are not for a certain deployment.
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
    /// Nobody in particular.
    pub fn anonymous(tenant: Tenant) -> Self {
        Self { tenant, identity: String::new(), role: None, permissions: Vec::new(), user: None }
    }

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
