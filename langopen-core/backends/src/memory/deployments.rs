use async_trait::async_trait;
use langopen_core::error::Result;
use langopen_core::model::{Deployment, DeploymentSpec};
use langopen_core::storage::Deployments;
use langopen_core::tenant::Tenant;

use super::Memory;
use crate::rules::deployment;

#[async_trait]
impl Deployments for Memory {
    async fn put_deployment(&self, tenant: &Tenant, spec: DeploymentSpec) -> Result<Deployment> {
        let mut state = self.state();
        let earlier = state.deployments.get(tenant).map(|row| row.created_at);
        let row = deployment::row(tenant, spec, earlier, self.now())?;
        deployment::check_hosts(&row, state.deployments.values())?;
        state.deployments.insert(tenant.clone(), row.clone());
        // A higher limit lets waiting runs start.
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
