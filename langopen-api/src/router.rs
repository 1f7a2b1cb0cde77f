//! Builds the router of the whole API: its operations, and the middleware that all of them share.

use axum::Router;
use axum::extract::{Extension, OriginalUri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, Uri, header};
use std::any::Any;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa::openapi::Server;
use utoipa_axum::router::OpenApiRouter;

use crate::agent::meta::Document;
use crate::agent::{assistants, crons, meta, runs, state, store, threads};
use crate::doors::{a2a, custom, mcp, protocol, ui};
use crate::http::access::{Authenticator, keep_body};
use crate::http::cors::Cors;
use crate::http::error::ApiError;
use crate::http::extract::hold_bodies;
use crate::http::observe::observe;
use crate::http::pages::refuse_foreign_pages;
use crate::http::unread::discard_unread;
use crate::openapi;
use crate::server::App;

pub(crate) fn build(app: App) -> Router {
    let features = app.settings.features;
    let mut api = OpenApiRouter::with_openapi(openapi::Frame::openapi()).merge(meta::health());
    let groups = [
        (features.assistants, assistants::routes as fn() -> OpenApiRouter<App>),
        (features.threads, threads::routes),
        (features.threads, state::routes),
        (features.runs, runs::routes),
        (features.threads && features.runs && features.event_streaming, protocol::routes),
        (features.runs, crons::routes),
        (features.store, store::routes),
        (features.assistants && features.runs && features.mcp, mcp::routes),
        (features.ui && app.interfaces.is_some(), ui::routes),
        (features.assistants && features.threads && features.runs && features.a2a, a2a::routes),
        (features.meta, meta::routes),
    ];
    for (served, routes) in groups {
        if served {
            api = api.merge(routes());
        }
    }
    let (mut router, mut document) = api.split_for_parts();
    openapi::describe_refusals(&mut document);
    let prefix = app.settings.mount_prefix.as_deref().unwrap_or_default().trim_matches('/').to_owned();
    if !prefix.is_empty() {
        document.servers = Some(vec![Server::new(format!("/{prefix}"))]);
    }
    let custom = app.custom.clone().map(|(custom, options)| (custom.describe(), custom, options));
    if features.meta {
        let app_document = custom.as_ref().and_then(|(description, ..)| description.openapi.as_ref());
        let text = openapi::text(&document, &app.settings.security, app_document).unwrap_or_else(|error| {
            tracing::error!(error = %error, "the OpenAPI document cannot be written");
            "{}".to_owned()
        });
        router = router.merge(meta::documentation()).layer(Extension(Document(Bytes::from(text))));
    }
    if !prefix.is_empty() {
        let mut root = meta::health();
        if features.meta {
            root = root.merge(meta::metrics());
        }
        router = Router::from(root).nest(&format!("/{prefix}"), router);
    }
    if app.auth.needs_body() {
        router = router.route_layer(from_fn_with_state(app.clone(), keep_body));
    }
    router = router.route_layer(from_fn(hold_bodies));
    let router = router
        .fallback(unknown_path)
        .method_not_allowed_fallback(async || ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
        .with_state(app.clone())
        .layer(CatchPanicLayer::custom(panicked));
    let cors = |router: Router| match app.settings.cors.as_ref().map(Cors::layer) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let observed = from_fn_with_state(app.clone(), observe);
    let served = match custom {
        None => cors(router).layer(observed),
        Some((description, custom, options)) => {
            let authenticator = Authenticator::new(app.auth.clone()).with_max_body_bytes(app.settings.max_body_bytes);
            let authenticator = authenticator.with_body_budget(app.bodies.clone());
            let api = router.layer(observed);
            cors(custom::mount(api, custom, &description, options, authenticator, &app.settings))
        }
    };
    let served = match app.settings.refuse_foreign_pages {
        true => served.layer(from_fn_with_state(app.clone(), refuse_foreign_pages)),
        false => served,
    };
    // This layer is the outermost, so that it covers every answer.
    served.layer(MapRequestLayer::new(discard_unread))
}

/// Marks the answer to a request for an unknown path.
#[derive(Clone)]
pub(crate) struct UnknownPath;

/// Answers 404. If the path only has slashes too many at its end, it redirects to the path without them.
async fn unknown_path(OriginalUri(uri): OriginalUri) -> (Extension<UnknownPath>, Response) {
    (Extension(UnknownPath), no_path(&uri))
}

fn no_path(uri: &Uri) -> Response {
    let Some(shorter) = without_slash(uri.path()) else { return ApiError::not_found("Not Found").into_response() };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{shorter}{query}"))]).into_response()
}

/// The path without its trailing slashes, if it has any and a redirect to it stays on this server.
///
/// Browsers read `//host` and `/\host` as another host, and some readers decode a path before they interpret it. So a
/// path with two slashes in a row, a backslash or a percent-encoded character gets no redirect. The API's own paths
/// contain none of these.
fn without_slash(path: &str) -> Option<&str> {
    let shorter = path.trim_end_matches('/');
    let plain = shorter.starts_with('/') && !shorter.contains("//") && !shorter.contains(['\\', '%']);
    (plain && shorter.len() < path.len()).then_some(shorter)
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = message, "a handler panicked");
    ApiError::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_this_server() {
        for (path, expected) in [
            ("/threads/", Some("/threads")),
            ("/a2a/x///", Some("/a2a/x")),
            ("/threads", None),
            ("/", None),
            ("//evil.example/", None),
            ("/\\evil.example/", None),
            ("/\\/evil.example/", None),
            ("/%5Cevil.example/", None),
            ("/%5c%5cevil.example/", None),
            ("/%2Fevil.example/", None),
            ("/%2f%2fevil.example//", None),
            ("/%252fevil.example/", None),
            ("/%09/evil.example/", None),
            ("/a//evil.example/", None),
        ] {
            assert_eq!(without_slash(path), expected, "{path}");
        }
    }
}
