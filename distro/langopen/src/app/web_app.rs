//! Connects the application's web app, which runs in graph hosts, with the API. Requests pass in both directions.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use langopen_api::{Api, AppDescription, AppRequest, AppRoute, CustomApp, Trusted};
use langopen_core::{JsonMap, Tenant};
use langopen_runner::{HostPool, WebAnswer, WebApi, WebApp, WebBody, WebCall};
use tower_service::Service;
use tracing::warn;

/// Calls the web app in a pool of graph hosts.
pub(super) struct PoolApp {
    pool: Arc<HostPool>,
    description: WebApp,
}

impl PoolApp {
    pub(super) fn of(pool: &Arc<HostPool>) -> Option<Self> {
        let description = pool.web_app()?;
        Some(Self { pool: Arc::clone(pool), description })
    }
}

#[async_trait]
impl CustomApp for PoolApp {
    fn describe(&self) -> AppDescription {
        let WebApp { first, routes, later, openapi } = self.description.clone();
        let route = |route: langopen_runner::WebRoute| AppRoute {
            pattern: route.pattern,
            methods: route.methods,
            websocket: route.websocket,
        };
        AppDescription { first, routes: routes.into_iter().map(route).collect(), fallback: later, openapi }
    }

    async fn call(&self, request: AppRequest, api: Api) -> Response {
        let AppRequest { request, root_path, unknown, authenticate, user, client } = request;
        let has_body = !request.body().is_end_stream();
        let request = request.map(stream);
        let call = WebCall {
            request,
            has_body,
            unknown,
            authenticate,
            user,
            root_path,
            client,
            tenant: api.tenant().cloned(),
        };
        match self.pool.web(call, Arc::new(Behind(api))).await {
            Ok(response) => response.map(Body::from_stream),
            Err(error) => {
                warn!(%error, "the application's web app did not answer");
                let unavailable = error.kind() == langopen_core::ErrorKind::Unavailable;
                let (status, text) = match unavailable {
                    true => (axum::http::StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
                    false => (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
                };
                (status, text).into_response()
            }
        }
    }
}

/// Passes requests from the web app on to the API.
struct Behind(Api);

#[async_trait]
impl WebApi for Behind {
    async fn call(&self, request: axum::http::Request<WebBody>) -> WebAnswer {
        let response = self.0.call(request.map(Body::from_stream)).await;
        WebAnswer { unknown: Api::has_no_path(&response), response: response.map(stream) }
    }

    async fn authenticate(&self, request: axum::http::Request<()>) -> Result<JsonMap, axum::http::Response<WebBody>> {
        self.0.authenticate(request).await.map_err(|response| response.map(stream))
    }
}

/// Serves the requests that the application itself makes to this server. These requests are trusted within their
/// tenant, because the application's graphs could do the same.
pub(crate) struct FromWithin(pub(crate) Router);

#[async_trait]
impl WebApi for FromWithin {
    async fn call(&self, request: axum::http::Request<WebBody>) -> WebAnswer {
        let mut request = request.map(Body::from_stream);
        let tenant = request.extensions_mut().remove::<Tenant>().unwrap_or_default();
        request.extensions_mut().insert(Trusted { tenant });
        let response = match self.0.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        WebAnswer { response: response.map(stream), unknown: false }
    }

    async fn authenticate(&self, _: axum::http::Request<()>) -> Result<JsonMap, axum::http::Response<WebBody>> {
        // The application's own requests need no login.
        Ok(JsonMap::new())
    }
}

fn stream(body: Body) -> WebBody {
    body.into_data_stream().map(|piece| piece.map_err(io::Error::other)).boxed()
}
