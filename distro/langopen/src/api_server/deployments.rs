//! The API of each deployment: made when its first runner is seen, and again when its runners say something new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use langopen_api::{DeploymentSource, Metrics};
use langopen_core::{Error, Result, Tenant};
use langopen_runner::{Announcement, RunnerSet};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::app::{self, Login, ServerParts};
use crate::database::Database;

/// How long after a failure the API of a deployment is made again.
const AGAIN: Duration = Duration::from_secs(2);

/// The API of each deployment that a runner was seen of. It stays when the runners go: what needs no graph is answered.
#[derive(Default)]
pub(crate) struct Deployments {
    /// Each with a number that no other one has had.
    routers: RwLock<BTreeMap<Tenant, (u64, Router)>>,
}

impl Deployments {
    pub(crate) fn is_empty(&self) -> bool {
        self.routers.read().is_empty()
    }

    fn put(&self, tenant: Tenant, router: Router) {
        let mut routers = self.routers.write();
        let next = routers.values().map(|(number, _)| number + 1).max().unwrap_or_default();
        routers.insert(tenant, (next, router));
    }
}

#[async_trait]
impl DeploymentSource for Deployments {
    async fn revision(&self, tenant: &Tenant, _: bool) -> Result<Option<String>> {
        Ok(self.routers.read().get(tenant).map(|(number, _)| number.to_string()))
    }

    async fn router(&self, tenant: &Tenant, _: &str) -> Result<Router> {
        let router = self.routers.read().get(tenant).map(|(_, router)| router.clone());
        router.ok_or_else(|| Error::unavailable("deployments.serve", "no runner of the deployment was seen yet"))
    }
}

/// Makes the APIs.
pub(crate) struct Making {
    pub(crate) deployments: Arc<Deployments>,
    pub(crate) runners: Arc<RunnerSet>,
    pub(crate) database: Arc<Database>,
    pub(crate) login: Login,
    pub(crate) metrics: Metrics,
    pub(crate) crons: bool,
}

impl Making {
    /// Makes them as runners announce what is new, until `stop`.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let mut announced = self.runners.announced();
        let mut made = BTreeMap::<Tenant, Arc<Announcement>>::new();
        loop {
            announced.mark_unchanged();
            let failed = tokio::select! {
                failed = self.make_all(&mut made) => failed,
                () = stop.cancelled() => return,
            };
            tokio::select! {
                changed = announced.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(AGAIN), if failed => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Whether one could not be made.
    async fn make_all(&self, made: &mut BTreeMap<Tenant, Arc<Announcement>>) -> bool {
        let mut failed = false;
        for tenant in self.runners.deployments() {
            let Some(announcement) = self.runners.announcement(&tenant) else { continue };
            if made.get(&tenant).is_some_and(|of| Arc::ptr_eq(of, &announcement)) {
                continue;
            }
            match self.make(&tenant, &announcement).await {
                Some(router) => {
                    self.deployments.put(tenant.clone(), router);
                    made.insert(tenant, announcement);
                }
                None => failed = true,
            }
        }
        failed
    }

    async fn make(&self, tenant: &Tenant, announcement: &Announcement) -> Option<Router> {
        let pool = Arc::new(self.runners.pool(tenant)?);
        let parts = ServerParts {
            database: &self.database,
            pool: Arc::clone(&pool),
            app: &announcement.app,
            tenant: tenant.clone(),
            login: self.login.clone(),
            metrics: self.metrics.clone(),
            crons: self.crons,
        };
        match app::build(parts).await {
            Ok(router) => {
                app::connect(&pool, router.clone(), tenant.clone());
                info!(deployment = %tenant, "the API of a deployment is served");
                Some(router)
            }
            Err(error) => {
                error!(deployment = %tenant, %error, "the API of a deployment cannot be served; trying again");
                None
            }
        }
    }
}
