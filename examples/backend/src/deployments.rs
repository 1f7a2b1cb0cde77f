use async_trait::async_trait;
use langopen_backends::rules::deployment;
use langopen_core::model::{Deployment, DeploymentSpec};
use langopen_core::storage::Deployments;
use langopen_core::{Result, Tenant};

use crate::MyBackend;

#[async_trait]
impl Deployments for MyBackend {
    async fn put_deployment(&self, tenant: &Tenant, spec: DeploymentSpec) -> Result<Deployment> {
        let mut state = self.state();
        let created_at = state.deployments.get(tenant).map(|earlier| earlier.created_at);
        let new = deployment::row(tenant, spec, created_at, self.clock.now())?;
        deployment::check_hosts(&new, state.deployments.values())?;
        state.deployments.insert(tenant.clone(), new.clone());
        // The new limits may let a run start.
        state.hints.runs.notify_one();
        Ok(new)
    }

    async fn deployment(&self, tenant: &Tenant) -> Result<Option<Deployment>> {
        Ok(self.state().deployments.get(tenant).cloned())
    }

    async fn list_deployments(&self) -> Result<Vec<Deployment>> {
        Ok(self.state().deployments.values().cloned().collect())
    }

    async fn delete_deployment(&self, tenant: &Tenant) -> Result<()> {
        let mut state = self.state();
        state.deployments.remove(tenant).ok_or_else(|| deployment::not_found("deployments.delete", tenant))?;
        state.hints.runs.notify_one();
        Ok(())
    }
}
