//! Serves several deployments behind one address: finds the deployment that a request is for, and its server.

mod directory;
mod installation;
mod naming;

use async_trait::async_trait;
use langopen_core::{Result, Tenant};

use crate::server::AgentServer;

pub use installation::Installation;

/// Creates the servers of an installation's deployments.
///
/// The gateway asks for one server per revision of a deployment and caches it. The
/// [`Executor`](langopen_core::Executor) handles changes within a revision, for example runners that start and stop.
/// [`revision`](DeploymentSource::revision) must return at once, because the gateway calls it for each request.
#[async_trait]
pub trait DeploymentSource: Send + Sync + 'static {
    /// The revision that the deployment serves now, or `None` if it serves nothing. The name changes whenever anything
    /// that its server depends on changes. `listed` is true if the deployment has a row in the storage or is that of
    /// [`Installation::with_default`].
    async fn revision(&self, tenant: &Tenant, listed: bool) -> Result<Option<String>>;

    /// Creates the server of a revision, including its system assistants. Its login must return the deployment in
    /// [`Credentials::tenant`](langopen_core::auth::Credentials::tenant).
    ///
    /// # Errors
    /// The request that waits for the server fails. The next request tries again.
    async fn server(&self, tenant: &Tenant, revision: &str) -> Result<AgentServer>;
}
