use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Deployment, DeploymentSpec};
use crate::tenant::Tenant;

/// The host names and limits of the installation's deployments. These rows belong to the installation, not to a tenant.
///
/// A deployment needs no row to have threads and runs. Without a row it has no host name and no limit.
#[async_trait]
pub trait Deployments: Send + Sync {
    /// Creates or replaces a deployment's row.
    ///
    /// - `created_at` of an existing row stays.
    /// - New limits apply to the next claim and to the next new run.
    /// - Host names are stored in lower case, each once.
    ///
    /// # Errors
    /// - `Invalid`: a host is not a host name (a port is not allowed), or the request rate is 0.
    /// - `Conflict`: another deployment has one of the hosts.
    async fn put_deployment(&self, tenant: &Tenant, spec: DeploymentSpec) -> Result<Deployment>;

    /// The deployment's row.
    async fn deployment(&self, tenant: &Tenant) -> Result<Option<Deployment>>;

    /// All rows, ordered by the text of their tenants.
    async fn list_deployments(&self) -> Result<Vec<Deployment>>;

    /// Removes a deployment's row, with its hosts and limits. Its threads, runs and all other data stay.
    ///
    /// # Errors
    /// - `NotFound`: the deployment has no row.
    async fn delete_deployment(&self, tenant: &Tenant) -> Result<()>;
}
