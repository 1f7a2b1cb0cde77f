use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Deployment, DeploymentSpec};
use crate::tenant::Tenant;

/// The deployments of an installation: how they are reached, and what limits them. These rows are the installation's, not a tenant's.
///
/// A deployment needs no row to have threads and runs; without one it has no host name and no limit.
#[async_trait]
pub trait Deployments: Send + Sync {
    /// Puts a deployment's row, whole; `created_at` of one that exists stays. New limits hold for the next claim and the next run that is created.
    ///
    /// Host names are kept in lower case and once each.
    ///
    /// # Errors
    /// `Invalid` for a host that is no host name (a port is no part of it) or a request rate of 0; `Conflict` for a host that another deployment has.
    async fn put_deployment(&self, tenant: &Tenant, spec: DeploymentSpec) -> Result<Deployment>;

    /// The deployment's row.
    async fn deployment(&self, tenant: &Tenant) -> Result<Option<Deployment>>;

    /// All rows, in the order of their tenants' text.
    async fn list_deployments(&self) -> Result<Vec<Deployment>>;

    /// Removes a deployment's row, and with it its hosts and limits. Its threads, runs and all else stay.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_deployment(&self, tenant: &Tenant) -> Result<()>;
}
