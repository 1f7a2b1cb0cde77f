//! HTTP over a host's connection, in both directions: requests for the application's web app, and requests of the
//! application to the API. Each body of an exchange streams within its own credit, so an unread body does not block
//! others.

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

/// The application's web app, as its host describes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WebApp {
    /// Whether every request must pass through the app: it has middleware, or its routes are unknown.
    pub first: bool,
    /// The paths where the app may have a route. The list may contain too many, but not too few.
    pub routes: Vec<WebRoute>,
    /// Whether the app may also answer requests that neither a route of the app nor the API covers.
    pub later: bool,
    /// Its OpenAPI document.
    pub openapi: Option<Value>,
}

/// A path where the app may have a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebRoute {
    /// A regular expression for the decoded path.
    pub pattern: String,
    /// The methods of the route; `None` for all.
    pub methods: Option<Vec<String>>,
    /// Whether the route is for WebSockets.
    #[serde(default)]
    pub websocket: bool,
}

/// A request for the app.
pub struct WebCall {
    /// The request. Its path is the client's, with the mount prefix.
    pub request: Request<WebBody>,
    /// Whether a body follows.
    pub has_body: bool,
    /// Whether the API has already been asked and has no such path.
    pub unknown: bool,
    /// Whether the app's own routes need an authenticated caller, and this one is not authenticated yet.
    pub authenticate: bool,
    /// The authenticated user.
    pub user: Option<JsonMap>,
    /// The mount prefix; may be empty.
    pub root_path: String,
    /// The client's address.
    pub client: Option<SocketAddr>,
    /// The tenant in which the caller acts, if it is known.
    pub tenant: Option<Tenant>,
}

/// The API, as the app may call it while it serves a request.
#[async_trait]
pub trait WebApi: Send + Sync + 'static {
    /// Serves a request that no route of the app covers. A request of the application itself has the [`Tenant`] in
    /// which it acts among its extensions.
    async fn call(&self, request: Request<WebBody>) -> WebAnswer;

    /// Authenticates the caller: returns the user, or the response to a refused caller.
    async fn authenticate(&self, request: Request<()>) -> Result<JsonMap, Response<WebBody>>;
}

/// The API's answer.
pub struct WebAnswer {
    /// The response.
    pub response: Response<WebBody>,
    /// Whether the response only reports that the path does not exist. The request's body is then unread.
    pub unknown: bool,
}
