//! HTTP over a host's connection, in both directions: requests for the application's own web app, and requests that the application makes of the
//! API. An exchange's bodies stream, each within a credit, so one that nobody reads holds up no other.

mod begin;
mod body;
mod exchange;
mod head;
mod serve;

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::{Request, Response};
use langopen_core::{JsonMap, Tenant};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use exchange::HOSTS;
pub(super) use exchange::{Exchange, receive};

/// A body in pieces.
pub type WebBody = BoxStream<'static, io::Result<Bytes>>;

/// What a host tells of the application's own web app.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WebApp {
    /// Whether every request has to pass through it: it has middleware, or its routes cannot be told.
    pub first: bool,
    /// Where it may have a route; too much rather than too little.
    pub routes: Vec<WebRoute>,
    /// Whether it may also answer what nothing else does.
    pub later: bool,
    /// Its OpenAPI document.
    pub openapi: Option<Value>,
}

/// Where the app may have a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebRoute {
    /// A regular expression for the decoded path.
    pub pattern: String,
    /// Its methods; `None` for all.
    pub methods: Option<Vec<String>>,
    /// Whether it is for WebSockets.
    #[serde(default)]
    pub websocket: bool,
}

/// A request for the app.
pub struct WebCall {
    /// The request. The path is the client's, the mount prefix included.
    pub request: Request<WebBody>,
    /// Whether a body follows.
    pub has_body: bool,
    /// Whether the API has been asked already, and has no such path.
    pub unknown: bool,
    /// Whether the app's own routes are for authenticated callers alone, and this one is not authenticated yet.
    pub authenticate: bool,
    /// The authenticated user.
    pub user: Option<JsonMap>,
    /// The mount prefix, or empty.
    pub root_path: String,
    /// The other end of the connection.
    pub client: Option<SocketAddr>,
    /// Where the caller acts, if it is known.
    pub tenant: Option<Tenant>,
}

/// What the app may ask of the API while it serves a request.
#[async_trait]
pub trait WebApi: Send + Sync + 'static {
    /// Serves a request that no route of the app is for. A request of the application's own carries the [`Tenant`] that it acts in
    /// among its extensions.
    async fn call(&self, request: Request<WebBody>) -> WebAnswer;

    /// Finds out who asks: the user, or the answer to a caller that is turned away.
    async fn authenticate(&self, request: Request<()>) -> Result<JsonMap, Response<WebBody>>;
}

/// The API's answer.
pub struct WebAnswer {
    /// The answer.
    pub response: Response<WebBody>,
    /// Whether it only says that there is no such path; the request's body is then unread.
    pub unknown: bool,
}
