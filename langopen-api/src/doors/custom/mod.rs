//! The application's own web app beside the API: its routes, its middleware, its part of the document.

mod api;
mod front;
mod later;
mod merge;
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

/// What a custom app has.
#[derive(Debug, Clone, Default)]
pub struct AppDescription {
    /// Whether every request has to pass through the app: it has middleware, or its routes cannot be told.
    pub first: bool,
    /// Where the app may have a route. They win over the API's own; too much is told rather than too little, as the app can still hand a request
    /// to the API.
    pub routes: Vec<AppRoute>,
    /// Whether the app is also asked for what neither the API nor `routes` have.
    pub later: bool,
    /// The app's OpenAPI document.
    pub openapi: Option<Value>,
}

/// Where a custom app may have a route.
#[derive(Debug, Clone)]
pub struct AppRoute {
    /// A regular expression for the decoded path, the mount prefix left out. One that cannot be read stands for every path.
    pub pattern: String,
    /// Its methods; `None` for all.
    pub methods: Option<Vec<String>>,
    /// Whether it is for WebSockets.
    pub websocket: bool,
}

/// A request for a custom app.
#[derive(Debug)]
pub struct AppRequest {
    /// The request. Its path is the client's, the mount prefix included.
    pub request: Request,
    /// The mount prefix, or empty.
    pub root_path: String,
    /// Whether the API was asked already, and has no such path.
    pub unknown: bool,
    /// Whether the app's own routes are for authenticated callers alone, and this one is not authenticated yet: the app asks [`Api::authenticate`]
    /// before it lets one of them answer.
    pub authenticate: bool,
    /// The authenticated user.
    pub user: Option<JsonMap>,
    /// The other end of the connection, if it is known.
    pub client: Option<SocketAddr>,
}

/// A web app of the application's own, served beside the API.
///
/// An implementor must answer every request that one of its routes is for, and hand every other one to [`Api::call`], unless the request says that
/// the API does not know the path. Bodies must stream in both directions: a stream of events is passed on as it comes. When the response is dropped,
/// the app must learn that the client is gone.
#[async_trait]
pub trait CustomApp: Send + Sync + 'static {
    /// What the app has. Asked once.
    fn describe(&self) -> AppDescription;

    /// Answers a request.
    async fn call(&self, request: AppRequest, api: Api) -> Response;
}

/// How a custom app is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppOptions {
    /// Whether callers are authenticated before the app's middleware sees their requests, instead of after it.
    pub auth_first: bool,
    /// Whether the app's own routes are for authenticated callers alone.
    pub authenticate_routes: bool,
}
