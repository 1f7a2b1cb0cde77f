//! The application's own web app beside the API: its routes, its middleware and its OpenAPI document.

mod api;
mod front;
mod merge;
mod replay;
mod table;

use std::net::SocketAddr;

use async_trait::async_trait;
use axum::extract::Request;
use axum::response::Response;
use langopen_core::JsonMap;
use serde_json::Value;

pub use api::Api;
pub(crate) use front::mount;
pub(crate) use merge::merge;

/// The description of a custom app.
#[derive(Debug, Clone, Default)]
pub struct AppDescription {
    /// Whether every request must pass through the app, because it has middleware or its routes are unknown.
    pub first: bool,
    /// The places where the app may have a route. These routes win over the API's. The list may include too much,
    /// because the app can pass a request on to the API.
    pub routes: Vec<AppRoute>,
    /// Whether the app may also answer requests that match neither the API nor `routes`.
    pub fallback: bool,
    /// The app's OpenAPI document.
    pub openapi: Option<Value>,
}

/// A path at which a custom app may have a route.
#[derive(Debug, Clone)]
pub struct AppRoute {
    /// A regular expression for the decoded path below the mount prefix. An invalid expression matches every path.
    pub pattern: String,
    /// The route's methods; `None` means all.
    pub methods: Option<Vec<String>>,
    /// Whether the route is for WebSockets.
    pub websocket: bool,
}

/// A request for a custom app.
#[derive(Debug)]
pub struct AppRequest {
    /// The request. Its path is the client's, with the mount prefix.
    pub request: Request,
    /// The path prefix under which the app is mounted: the deployment's and the mount prefix. It may be empty.
    pub root_path: String,
    /// Whether the API has already declined the request because it has no such path.
    pub unknown: bool,
    /// Whether the app must call [`Api::authenticate`] before one of its own routes answers: such routes need an
    /// authenticated caller, and this caller is not authenticated yet.
    pub authenticate: bool,
    /// The authenticated user, if the caller is already authenticated.
    pub user: Option<JsonMap>,
    /// The peer address of the connection, if it is known.
    pub client: Option<SocketAddr>,
}

/// A web app of the application's own, served beside the API.
///
/// An implementor must answer every request for one of its routes. It must pass every other request to [`Api::call`],
/// unless [`AppRequest::unknown`] is set.
///
/// Bodies must stream in both directions, so that events of a stream pass through at once. When the response is
/// dropped, the app must learn that the client is gone.
#[async_trait]
pub trait CustomApp: Send + Sync + 'static {
    /// The app's description. The server calls this once.
    fn describe(&self) -> AppDescription;

    /// Answers a request.
    async fn call(&self, request: AppRequest, api: Api) -> Response;
}

/// How a custom app is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AppOptions {
    /// Whether the server authenticates callers before the app's middleware sees their requests. Otherwise the
    /// middleware comes first.
    pub auth_first: bool,
    /// Whether the app's own routes need an authenticated caller.
    pub authenticate_routes: bool,
}

langopen_core::setters! {
    AppOptions {
        with_auth_first auth_first: bool,
        with_authenticate_routes authenticate_routes: bool,
    }
}
