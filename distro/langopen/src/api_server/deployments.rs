//! The API of each deployment: made when its first runner is seen, and again when its runners say something new.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use langopen_api::Metrics;
use langopen_core::Tenant;
use langopen_core::auth::ApiKeyRecord;
use langopen_runner::{Announcement, RunnerSet};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use tracing::{error, info};

use crate::app::{self, Login, ServerParts};
use crate::database::Database;

/// How long after a failure the API of a deployment is made again.
const AGAIN: Duration = Duration::from_secs(2);

/// The API of each deployment that a runner was seen of. It stays when the runners go: what needs no graph is answered.
#[derive(Default)]
pub(crate) struct Deployments {
    routers: RwLock<BTreeMap<Tenant, Router>>,
}

impl Deployments {
    pub(crate) fn is_empty(&self) -> bool {
        self.routers.read().is_empty()
    }

    /// The API of a deployment.
    pub(crate) fn router(&self, tenant: &Tenant) -> Option<Router> {
        self.routers.read().get(tenant).cloned()
    }
}

/// Makes the APIs.
pub(crate) struct Making {
    pub(crate) deployments: Arc<Deployments>,
    pub(crate) runners: Arc<RunnerSet>,
    pub(crate) database: Arc<Database>,
    pub(crate) keys: Option<Vec<ApiKeyRecord>>,
    pub(crate) address: IpAddr,
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
                    self.deployments.routers.write().insert(tenant.clone(), router);
                    made.insert(tenant, announcement);
                }
                None => failed = true,
            }
        }
        failed
    }

    async fn make(&self, tenant: &Tenant, announcement: &Announcement) -> Option<Router> {
        let pool = Arc::new(self.runners.pool(tenant)?);
        // A key is for the deployment that it names.
        let own = |record: &&ApiKeyRecord| record.tenant().is_ok_and(|of| of == *tenant);
        let keys = self.keys.as_ref().map(|keys| keys.iter().filter(own).cloned().collect());
        let parts = ServerParts {
            database: &self.database,
            pool,
            app: &announcement.app,
            tenant: tenant.clone(),
            login: Login { keys, address: self.address },
            metrics: self.metrics.clone(),
            crons: self.crons,
        };
        match app::build(parts).await {
            Ok(router) => {
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

/// Sends each request to the API of its deployment.
#[derive(Clone)]
pub(crate) struct Dispatch {
    deployments: Arc<Deployments>,
    tenant: Tenant,
}

impl Dispatch {
    pub(crate) fn new(deployments: Arc<Deployments>, tenant: Tenant) -> Self {
        Self { deployments, tenant }
    }
}

impl Service<Request<Body>> for Dispatch {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.deployments.router(&self.tenant) {
            Some(mut router) => Box::pin(async move { router.call(request).await }),
            None => Box::pin(std::future::ready(Ok(unavailable()))),
        }
    }
}

fn unavailable() -> Response {
    let detail = "No runner of this deployment has been seen yet; try again";
    let body = Json(serde_json::json!({"detail": detail}));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], body).into_response()
}
