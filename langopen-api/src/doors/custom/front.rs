//! Decides for each request whether the custom app or the API answers it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::{Method, StatusCode, header};
use percent_encoding::percent_decode_str;

use super::api::{Api, answer, user, withhold};
use super::replay::{Replay, replayable};
use super::table::{Table, is_open};
use super::{AppDescription, AppOptions, AppRequest, CustomApp};
use crate::agent::Authenticator;
use crate::agent::error::ApiError;
use crate::agent::roles::least_elsewhere;
use crate::doors::protocol;
use crate::http::access::{Pass, check_role};
use crate::http::reached::Reached;
use crate::settings::Settings;

/// The custom app in front of the API.
struct Front {
    app: Arc<dyn CustomApp>,
    options: AppOptions,
    first: bool,
    table: Table,
    /// Starts with a slash and does not end with one, or is empty.
    prefix: String,
    max_body_bytes: usize,
    api: Router,
    authenticator: Authenticator,
}

/// Puts the app in front of the API.
pub(crate) fn mount(
    api: Router,
    app: Arc<dyn CustomApp>,
    description: &AppDescription,
    options: AppOptions,
    authenticator: Authenticator,
    settings: &Settings,
) -> Router {
    let prefix = settings.mount_prefix.as_deref().unwrap_or_default().trim_matches('/');
    let front = Front {
        app,
        options,
        first: description.first,
        table: Table::new(description),
        prefix: if prefix.is_empty() { String::new() } else { format!("/{prefix}") },
        max_body_bytes: settings.max_body_bytes,
        api,
        authenticator,
    };
    Router::new().fallback(dispatch).with_state(Arc::new(front))
}

async fn dispatch(State(front): State<Arc<Front>>, request: Request) -> Response {
    let Some(path) = front.own_path(request.uri().path()) else { return answer(&front.api, request).await };
    // The API serves its WebSockets itself. A request that only names one in its headers goes to the app as usual.
    let handshake = is_handshake(&request);
    if handshake && front.is_socket(request.uri().path()) {
        return answer(&front.api, request).await;
    }
    let unserved = handshake && front.table.has_websocket(&path);
    if unserved && front.first {
        return no_websockets();
    }
    let early = front.table.matches(request.method(), &path);
    if front.first || early {
        return front.ask_app(request, &path, early, false).await;
    }
    if !unserved && !front.table.matches_fallback(&path) {
        return answer(&front.api, request).await;
    }
    let (request, replay) = replayable(request);
    let response = answer(&front.api, request).await;
    match Api::has_no_path(&response).then(|| Replay::request(replay)).flatten() {
        Some(_) if unserved => no_websockets(),
        Some(request) => front.ask_app(request, &path, true, true).await,
        None => response,
    }
}

impl Front {
    /// The decoded path below the prefix; `None` for other paths.
    fn own_path(&self, path: &str) -> Option<String> {
        let path = percent_decode_str(path).decode_utf8_lossy();
        match path.strip_prefix(&self.prefix)? {
            "" if !self.prefix.is_empty() => Some("/".to_owned()),
            own if own.starts_with('/') => Some(own.to_owned()),
            _ => None,
        }
    }

    async fn ask_app(&self, request: Request, path: &str, route: bool, unknown: bool) -> Response {
        let mut pass = Pass::of(request.extensions());
        let mut request = request;
        let now = match route {
            true => self.options.authenticate_routes && (self.options.auth_first || !self.first),
            false => self.options.auth_first && !is_open(path),
        };
        if now && pass.is_none() {
            match self.authenticator.authenticate(request).await {
                Ok((identity, same)) => {
                    // For requests that are not for a route of the app, the API checks the role.
                    let least = least_elsewhere(same.method());
                    if route && let Err(error) = check_role(identity.role, least) {
                        return ApiError::from(error).into_response();
                    }
                    (pass, request) = (Some(Pass::Known(identity)), same);
                }
                Err(response) => return response,
            }
        }
        let reached = request.extensions().get::<Reached>().cloned();
        if let Some(reached) = &reached {
            let trusted = matches!(pass, Some(Pass::Trusted(_)));
            if route
                && !trusted
                && let Err(error) = reached.count()
            {
                return ApiError::from(error).into_response();
            }
            if let Some(whole) = reached.whole(request.uri()) {
                *request.uri_mut() = whole;
            }
        }
        let announced =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|bytes: usize| bytes > self.max_body_bytes) {
            return self.too_large();
        }
        let withheld = withhold(request.headers_mut());
        let passed = Arc::new(AtomicBool::new(false));
        let request = limited(request, self.max_body_bytes, Arc::clone(&passed));
        let app_request = AppRequest {
            root_path: format!("{}{}", reached.as_ref().map_or("", |reached| &reached.prefix), self.prefix),
            unknown,
            authenticate: self.options.authenticate_routes && pass.is_none(),
            user: pass.as_ref().and_then(|pass| match pass {
                Pass::Known(identity) => Some(user(identity)),
                Pass::Trusted(_) => None,
            }),
            client: request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
            request,
        };
        let api = Api { router: self.api.clone(), authenticator: self.authenticator.clone(), pass, reached, withheld };
        let response = self.app.call(app_request, api).await;
        if passed.load(Ordering::Relaxed) { self.too_large() } else { response }
    }

    fn too_large(&self) -> Response {
        let detail = format!("Request body exceeds {} bytes", self.max_body_bytes);
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response()
    }

    /// Whether the API has a WebSocket at this path. The app does not get these requests, because it only handles HTTP
    /// requests.
    fn is_socket(&self, path: &str) -> bool {
        path.strip_prefix(&self.prefix).is_some_and(protocol::is_socket)
    }
}

fn no_websockets() -> Response {
    let detail = "WebSocket routes of the application (http.app) are not served; use HTTP";
    ApiError::new(StatusCode::NOT_IMPLEMENTED, detail).into_response()
}

/// Whether the request is a WebSocket handshake: a `GET` that asks for the upgrade, or the `CONNECT` of HTTP/2.
fn is_handshake(request: &Request) -> bool {
    let says = |name, word: &str| {
        let values = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    match *request.method() {
        Method::CONNECT => true,
        Method::GET => says(header::UPGRADE, "websocket") && says(header::CONNECTION, "upgrade"),
        _ => false,
    }
}

/// Limits the request's body. A body past the limit ends with an error, and `passed` becomes true.
fn limited(request: Request, limit: usize, passed: Arc<AtomicBool>) -> Request {
    if http_body::Body::is_end_stream(request.body()) {
        return request;
    }
    request.map(|body| {
        let mut seen = 0_usize;
        let pieces = body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(std::io::Error::other)?;
            seen = seen.saturating_add(piece.len());
            if seen > limit {
                passed.store(true, Ordering::Relaxed);
                return Err(std::io::Error::other("length limit exceeded"));
            }
            Ok(piece)
        });
        Body::from_stream(pieces)
    })
}
