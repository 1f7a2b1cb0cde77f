use async_trait::async_trait;

use super::Memory;
use crate::backend::rules::deployment;
use crate::error::Result;
use crate::model::{Deployment, DeploymentSpec};
use crate::storage::Deployments;
use crate::tenant::Tenant;

#[async_trait]
impl Deployments for Memory {
    async fn put_deployment(&self, tenant: &Tenant, spec: DeploymentSpec) -> Result<Deployment> {
        let mut state = self.state();
        let earlier = state.deployments.get(tenant).map(|row| row.created_at);
        let row = deployment::row(tenant, spec, earlier, self.now())?;
        deployment::check_hosts(&row, state.deployments.values())?;
        state.deployments.insert(tenant.clone(), row.clone());
        // A limit that was raised lets runs begin.
        self.shared.wakes.notify_one();
        Ok(row)
    }

    async fn deployment(&self, tenant: &Tenant) -> Result<Option<Deployment>> {
        Ok(self.state().deployments.get(tenant).cloned())
    }

    async fn list_deployments(&self) -> Result<Vec<Deployment>> {
        Ok(self.state().deployments.values().cloned().collect())
    }

    async fn delete_deployment(&self, tenant: &Tenant) -> Result<()> {
        let removed = self.state().deployments.remove(tenant);
        self.shared.wakes.notify_one();
        removed.map(drop).ok_or_else(|| deployment::not_found("deployments.delete", tenant))
    }
}
