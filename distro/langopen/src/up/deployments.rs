//! The deployments that this process serves: all of the same application, each with data of its own.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use langopen_api::{DeploymentSource, Metrics};
use langopen_core::{Error, Result, Tenant};
use langopen_runner::HostPool;
use langopen_runner::config::AppSettings;

use crate::app::{self, Login, ServerParts};
use crate::database::Database;
use crate::error::CommandError;

/// The application, for as many deployments as there are rows.
pub(super) struct Application {
    pub(super) database: Arc<Database>,
    pub(super) pool: Arc<HostPool>,
    pub(super) app: AppSettings,
    pub(super) login: Login,
    pub(super) metrics: Metrics,
    pub(super) crons: bool,
    /// Deployments without a row: those that keys of a file are for.
    pub(super) known: Vec<Tenant>,
}

impl Application {
    /// The API of one of them.
    pub(super) async fn build(&self, tenant: Tenant) -> Result<Router, CommandError> {
        let parts = ServerParts {
            database: &self.database,
            pool: Arc::clone(&self.pool),
            app: &self.app,
            tenant,
            login: self.login.clone(),
            metrics: self.metrics.clone(),
            crons: self.crons,
        };
        app::build(parts).await
    }
}

/// The application with the API of the deployment where everybody acts, which was made when the server started.
pub(super) struct Served {
    pub(super) application: Application,
    pub(super) default: Router,
}

#[async_trait]
impl DeploymentSource for Served {
    async fn revision(&self, tenant: &Tenant, listed: bool) -> Result<Option<String>> {
        // The application is what it was when the process started.
        Ok((listed || self.application.known.contains(tenant)).then(String::new))
    }

    async fn router(&self, tenant: &Tenant, _: &str) -> Result<Router> {
        if *tenant == Tenant::default() {
            return Ok(self.default.clone());
        }
        let failed = |error: CommandError| Error::unavailable("deployments.serve", error.to_string());
        self.application.build(tenant.clone()).await.map_err(failed)
    }
}
