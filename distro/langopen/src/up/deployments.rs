//! The deployments of this process: they share one application, and each has its own data.

use std::sync::Arc;

use async_trait::async_trait;
use langopen_api::{AgentServer, BodyBudget, DeploymentSource, Metrics};
use langopen_core::{Error, Result, Tenant};
use langopen_runner::HostPool;
use langopen_runner::config::AppSettings;
use parking_lot::Mutex;

use crate::app::{self, Login, ServerParts};
use crate::database::Database;
use crate::error::CommandError;

/// Serves the application to every deployment.
pub(super) struct Deployments {
    pub(super) database: Arc<Database>,
    pub(super) pool: Arc<HostPool>,
    pub(super) app: AppSettings,
    pub(super) login: Login,
    pub(super) metrics: Metrics,
    pub(super) bodies: BodyBudget,
    pub(super) crons: bool,
    /// Deployments that have no row in the database: those of keys in a file.
    pub(super) known: Vec<Tenant>,
    /// The server of the default deployment. The first request takes it.
    pub(super) first: Mutex<Option<AgentServer>>,
}

impl Deployments {
    /// Builds the server of the default deployment, so that configuration errors stop the start.
    pub(super) async fn prepare(&self) -> Result<(), CommandError> {
        app::announce(&self.login, &self.pool).await?;
        let first = self.build(&Tenant::default()).await?;
        *self.first.lock() = Some(first);
        Ok(())
    }

    async fn build(&self, tenant: &Tenant) -> Result<AgentServer, CommandError> {
        let parts = ServerParts {
            database: &self.database,
            pool: Arc::clone(&self.pool),
            app: &self.app,
            tenant,
            login: self.login.clone(),
            metrics: self.metrics.clone(),
            bodies: self.bodies.clone(),
            crons: self.crons,
        };
        app::build(parts).await
    }
}

#[async_trait]
impl DeploymentSource for Deployments {
    async fn revision(&self, tenant: &Tenant, listed: bool) -> Result<Option<String>> {
        // The application does not change while the process runs.
        Ok((listed || self.known.contains(tenant)).then(String::new))
    }

    async fn server(&self, tenant: &Tenant, _revision: &str) -> Result<AgentServer> {
        if *tenant == Tenant::default()
            && let Some(first) = self.first.lock().take()
        {
            return Ok(first);
        }
        let failed = |error: CommandError| Error::unavailable("deployments.server", error.to_string());
        self.build(tenant).await.map_err(failed)
    }
}
