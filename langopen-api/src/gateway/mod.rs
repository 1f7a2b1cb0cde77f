//! Several deployments behind one address: finding the one that a request is for, and its server.

mod directory;
mod installation;
mod place;
mod rate;
mod reached;

use async_trait::async_trait;
use langopen_core::{Result, Tenant};

use crate::server::AgentServer;

pub use installation::Installation;
pub(crate) use reached::Reached;

/// Where the servers of an installation's deployments come from.
///
/// A deployment's server is made once for each revision and kept; what comes and goes, its runners for one, is the
/// [`Executor`](langopen_core::Executor)'s matter. An implementor must answer [`revision`](DeploymentSource::revision) at once: each request asks.
#[async_trait]
pub trait DeploymentSource: Send + Sync + 'static {
    /// What is served for the deployment now, by a name that changes when anything changes that its server was made with; `None` if nothing is.
    /// `listed` tells whether the deployment has a row in the storage, or is [`Installation::with_default`]'s.
    async fn revision(&self, tenant: &Tenant, listed: bool) -> Result<Option<String>>;

    /// Makes the server of a revision, its system assistants included. Its login must answer the deployment that
    /// [`Credentials::tenant`](langopen_core::auth::Credentials::tenant) names.
    ///
    /// # Errors
    /// The request that waits for it fails; the next one tries again.
    async fn server(&self, tenant: &Tenant, revision: &str) -> Result<AgentServer>;
}
