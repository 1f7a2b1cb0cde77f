//! Builds the API of each deployment. The API server builds it when the deployment's first runner connects, and again
//! when runners announce a change.

use std::sync::Arc;

use async_trait::async_trait;
use langopen_api::{AgentServer, BodyBudget, DeploymentSource, Metrics};
use langopen_core::{Error, Result, Tenant};
use langopen_runner::RunnerSet;
use tracing::error;

use crate::app::{self, Login, ServerParts};
use crate::database::Database;

/// Holds the API of each deployment for which a runner has connected. When the runners disconnect, the API stays and
/// still answers requests that need no graph.
pub(super) struct Deployments {
    pub(super) runners: Arc<RunnerSet>,
    pub(super) database: Arc<Database>,
    pub(super) login: Login,
    pub(super) metrics: Metrics,
    pub(super) bodies: BodyBudget,
    pub(super) crons: bool,
}

#[async_trait]
impl DeploymentSource for Deployments {
    async fn revision(&self, tenant: &Tenant, _listed: bool) -> Result<Option<String>> {
        Ok(self.runners.announcement(tenant).map(|announcement| announcement.revision.to_string()))
    }

    async fn server(&self, tenant: &Tenant, _revision: &str) -> Result<AgentServer> {
        let gone = || Error::unavailable("deployments.server", "no runner of the deployment was seen yet");
        let announcement = self.runners.announcement(tenant).ok_or_else(gone)?;
        let pool = Arc::new(self.runners.pool(tenant).ok_or_else(gone)?);
        let parts = ServerParts {
            database: &self.database,
            pool: Arc::clone(&pool),
            app: &announcement.app,
            tenant,
            login: self.login.clone(),
            metrics: self.metrics.clone(),
            bodies: self.bodies.clone(),
            crons: self.crons,
        };
        let made = async {
            app::announce(&self.login, &pool).await?;
            app::build(parts).await
        };
        made.await.map_err(|error| {
            error!(deployment = %tenant, %error, "the API of a deployment cannot be built");
            Error::unavailable(
                "deployments.server",
                "the API server cannot serve this deployment now; its log shows the reason",
            )
        })
    }
}
