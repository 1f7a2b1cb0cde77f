//! Serves several deployments behind one address.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use langopen_core::auth::{Credentials, KeyGrant, KeyRing};
use langopen_core::storage::Deployments;
use langopen_core::{Clock, Error, SystemClock, Tenant};
use moka::future::Cache;
use parking_lot::Mutex;
use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

use super::DeploymentSource;
use super::directory::{Directory, Rows};
use super::naming::{Named, Unclear, host};
use crate::agent::error::{ApiError, ApiResult};
use crate::http::access::Trusted;
use crate::http::cors::Cors;
use crate::http::reached::Reached;
use crate::http::unread::discard_unread;

/// How long the gateway caches the server of a deployment that receives no requests.
const IDLE: Duration = Duration::from_secs(3600);

/// The `Retry-After` for a deployment that has no server now.
const SERVED_SOON: Duration = Duration::from_secs(5);

/// Serves many deployments behind one address, each with its own [`AgentServer`](crate::AgentServer).
///
/// The first of these that names a deployment decides which one receives a request:
/// 1. The host name, if the row of a deployment lists it.
/// 2. The path `/d/{name}/...`, which the deployment sees as `/...`. The name is `deployment`, `project.deployment` or
///    `organization.project.deployment`. The API key's scope supplies the missing parts; without a key,
///    [`Installation::with_default`] does.
/// 3. The scope of the API key, if it covers exactly one deployment.
/// 4. [`Installation::with_default`], for requests without an API key.
///
/// A key whose scope does not cover the named deployment gets 403, whether or not that deployment exists. Otherwise, a
/// deployment that does not exist gets 404, and one without a server gets 503. Changes of rows take effect within 5
/// seconds.
pub struct Installation {
    source: Arc<dyn DeploymentSource>,
    rows: Arc<dyn Deployments>,
    clock: Arc<dyn Clock>,
    keys: Option<Arc<KeyRing>>,
    default: Option<Tenant>,
    root: Option<Router>,
    cors: Cors,
}

impl Installation {
    /// An installation of the deployments for which `source` creates servers. `rows` stores their hosts and limits.
    pub fn new(source: Arc<dyn DeploymentSource>, rows: Arc<dyn Deployments>) -> Self {
        let clock = Arc::new(SystemClock);
        Self { source, rows, clock, keys: None, default: None, root: None, cors: Cors::default() }
    }

    /// Routes requests by the scope of their API key. The servers' own logins still authenticate the callers.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<KeyRing>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The deployment for requests that name none and have no API key. Without it, they get 404.
    #[must_use]
    pub fn with_default(mut self, tenant: Tenant) -> Self {
        self.default = Some(tenant);
        self
    }

    /// Answers requests that name no deployment, on the paths of `root`: for example the process's own `/ok` and
    /// `/metrics`. The gateway does not use the fallback of `root`.
    #[must_use]
    pub fn with_root(mut self, root: Router) -> Self {
        self.root = Some(root);
        self
    }

    /// The cross-origin rules for answers to requests that reached no deployment.
    #[must_use]
    pub fn with_cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }

    /// Reads the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// All deployments as one router.
    pub fn router(self) -> Router {
        let front = Front {
            source: self.source,
            directory: Directory::new(self.rows, self.clock),
            keys: self.keys,
            default: self.default,
            root: self.root,
            cors: self.cors,
            servers: Cache::builder().time_to_idle(IDLE).build(),
        };
        Router::new().fallback(answer).with_state(Arc::new(front))
    }
}

struct Front {
    source: Arc<dyn DeploymentSource>,
    directory: Directory,
    keys: Option<Arc<KeyRing>>,
    default: Option<Tenant>,
    root: Option<Router>,
    cors: Cors,
    /// The servers, by deployment and revision.
    servers: Cache<(Tenant, String), Router>,
}

/// The deployment that a request is for, and how the request named it.
struct Way {
    tenant: Tenant,
    prefix: String,
    named: bool,
}

/// Why a request reaches no deployment.
enum Lost {
    Unnamed(Unnamed),
    Refused(ApiError),
}

/// The request names no deployment.
#[derive(Clone, Copy)]
enum Unnamed {
    /// It has no API key either.
    Bare,
    /// The scope of its API key covers several.
    Several,
}

impl From<Unnamed> for ApiError {
    fn from(unnamed: Unnamed) -> Self {
        match unnamed {
            Unnamed::Bare => Self::not_found(NONE),
            Unnamed::Several => Self::bad_request(SEVERAL),
        }
    }
}

impl<E: Into<ApiError>> From<E> for Lost {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

async fn answer(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let found = front.find(&parts).await;
    let request = Request::from_parts(parts, body);
    match found {
        Ok((reached, router)) => pass_on(reached, router, request).await,
        Err(Lost::Unnamed(unnamed)) => {
            let root = front.root.clone().unwrap_or_default();
            let refuse = async move |request| front.refuse(unnamed.into(), request).await;
            call(root.fallback(refuse), request).await
        }
        Err(Lost::Refused(error)) => front.refuse(error, request).await,
    }
}

async fn pass_on(reached: Reached, router: Router, mut request: Request) -> Response {
    if !reached.prefix.is_empty() {
        let uri = request.uri().clone();
        let Some(below) = reached.below(&uri) else {
            return ApiError::not_found("Not Found").into_response();
        };
        *request.uri_mut() = below;
        if request.extensions().get::<OriginalUri>().is_none() {
            request.extensions_mut().insert(OriginalUri(uri));
        }
    }
    request.extensions_mut().insert(reached);
    call(router, request).await
}

/// The answer of a router. Routers are always ready and never fail.
async fn call(mut router: Router, request: Request) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

impl Front {
    /// The deployment that the request is for, and its server.
    async fn find(&self, request: &Parts) -> Result<(Reached, Router), Lost> {
        let rows = self.directory.rows().await?;
        let Way { tenant, prefix, named } = self.way(request, &rows).await?;
        let listed = rows.has(&tenant) || self.default.as_ref() == Some(&tenant);
        let Some(revision) = self.source.revision(&tenant, listed).await? else {
            return Err(Lost::Refused(not_served(&tenant, listed)));
        };
        let router = self.server(&tenant, revision).await?;
        let rate = rows.rate(&tenant);
        let default = self.default.as_ref() == Some(&tenant);
        Ok((Reached { tenant, prefix: prefix.into(), named, default, rate }, router))
    }

    async fn way(&self, request: &Parts, rows: &Rows) -> Result<Way, Lost> {
        let unnamed = |tenant| Way { tenant, prefix: String::new(), named: false };
        if let Some(trusted) = request.extensions.get::<Trusted>() {
            return Ok(unnamed(trusted.tenant.clone()));
        }
        let grant = self.grant(&request.headers).await?;
        let scope = grant.as_ref().map(|grant| &grant.scope);
        let way = if let Some(tenant) = host(request).and_then(|host| rows.of_host(&host).cloned()) {
            Way { tenant, prefix: String::new(), named: true }
        } else if let Some(name) = Named::of(request.uri.path()) {
            let tenant = name.tenant(scope, self.default.as_ref()).map_err(|unclear| unknown(&name, &unclear))?;
            Way { tenant, prefix: name.prefix(), named: true }
        } else {
            match (scope, &self.default) {
                (Some(scope), _) => match scope.deployment() {
                    Some(tenant) => unnamed(tenant.clone()),
                    None => return Err(Lost::Unnamed(Unnamed::Several)),
                },
                (None, Some(tenant)) => unnamed(tenant.clone()),
                (None, None) if is_preflight(request) => return Err(Lost::Refused(Unnamed::Bare.into())),
                (None, None) => return Err(Lost::Unnamed(Unnamed::Bare)),
            }
        };
        if scope.is_some_and(|scope| !scope.covers(&way.tenant)) {
            let detail = "This API key is not for that deployment";
            return Err(Lost::Refused(ApiError::new(StatusCode::FORBIDDEN, detail)));
        }
        Ok(way)
    }

    /// The grant of the request's API key, if it has one.
    async fn grant(&self, headers: &HeaderMap) -> ApiResult<Option<KeyGrant>> {
        let Some(keys) = &self.keys else { return Ok(None) };
        let header = |name: &'static str| {
            let value = headers.get(name)?.to_str().ok()?;
            Some((name.to_owned(), value.to_owned()))
        };
        let headers = ["x-api-key", "authorization"].into_iter().filter_map(header).collect();
        Ok(keys.find(&Credentials { headers, ..Credentials::default() }).await?)
    }

    async fn server(&self, tenant: &Tenant, revision: String) -> ApiResult<Router> {
        let key = (tenant.clone(), revision);
        if let Some(router) = self.servers.get(&key).await {
            return Ok(router);
        }
        let make = async {
            let server = self.source.server(&key.0, &key.1).await?;
            tracing::info!(deployment = %key.0, revision = key.1, "a deployment's server was created");
            Ok::<_, Error>(server.router())
        };
        let made = self.servers.try_get_with_by_ref(&key, make).await;
        made.map_err(|error| Error::new(error.kind(), error.operation(), error.message()).with_source(error).into())
    }

    /// Answers with `error`, and with CORS headers, so that pages in browsers can read it.
    async fn refuse(&self, error: ApiError, request: Request) -> Response {
        let response = Mutex::new(Some(error.into_response()));
        let response = Arc::new(response);
        let answer = tower::service_fn(move |_: Request| {
            let response = response.lock().take();
            async move { Ok::<_, std::convert::Infallible>(response.unwrap_or_default()) }
        });
        match self.cors.layer().layer(answer).oneshot(discard_unread(request)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

const NONE: &str = "This address serves several deployments; name one in the path: /d/{deployment}/...";

const SEVERAL: &str = "This API key is for several deployments; name one in the path: /d/{deployment}/...";

fn is_preflight(request: &Parts) -> bool {
    request.method == Method::OPTIONS && request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn unknown(name: &Named<'_>, unclear: &Unclear) -> ApiError {
    match unclear {
        Unclear::Never => ApiError::not_found(format!("There is no deployment {:?}", name.as_str())),
        Unclear::More => ApiError::bad_request(
            "The request does not identify the deployment's project; use its full name in the path: /d/{organization}.{project}.{deployment}/...",
        ),
    }
}

fn not_served(tenant: &Tenant, listed: bool) -> ApiError {
    match listed {
        true => ApiError::try_later("The deployment has no runner now; try again", SERVED_SOON),
        false => ApiError::not_found(format!("There is no deployment {tenant}")),
    }
}
