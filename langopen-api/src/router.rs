//! Builds the router of the whole API: its operations, and the middleware that all of them share.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, FromRef};
use axum::middleware::{from_fn, from_fn_with_state};
use bytes::Bytes;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa::openapi::Server;
use utoipa_axum::router::OpenApiRouter;

use crate::agent::error::ApiError;
use crate::agent::meta::Document;
use crate::agent::{App, Authenticator, assistants, crons, meta, runs, state, store, threads};
use crate::doors::custom::{AppDescription, AppOptions, CustomApp};
use crate::doors::{a2a, custom, mcp, protocol, ui};
use crate::http::cors::Cors;
use crate::http::extract::{BodyRules, buffer_body, hold_bodies};
use crate::http::fallback::{panicked, unknown_method, unknown_path};
use crate::http::observe::{Observed, observe};
use crate::http::pages::{PageRules, refuse_foreign_pages};
use crate::http::unread::discard_unread;
use crate::openapi;

/// The application's own web app, with its description.
type Custom = (AppDescription, Arc<dyn CustomApp>, AppOptions);

pub(crate) fn build(app: App, custom: Option<(Arc<dyn CustomApp>, AppOptions)>) -> Router {
    let custom = custom.map(|(custom, options)| (custom.describe(), custom, options));
    let router = documented(&app, custom.as_ref());
    let router = match app.auth.needs_body() {
        true => router.route_layer(from_fn_with_state(BodyRules::from_ref(&app), buffer_body::<ApiError>)),
        false => router,
    };
    let router = router
        .route_layer(from_fn(hold_bodies))
        .fallback(unknown_path::<ApiError>)
        .method_not_allowed_fallback(unknown_method::<ApiError>)
        .with_state(app.clone())
        .layer(CatchPanicLayer::custom(panicked::<ApiError>));
    let served = with_custom(router, &app, custom);
    let served = match app.settings.refuse_foreign_pages {
        true => {
            let rules = PageRules { cors: app.settings.cors.clone(), auth: app.auth.clone() };
            served.layer(from_fn_with_state(Arc::new(rules), refuse_foreign_pages::<ApiError>))
        }
        false => served,
    };
    // This layer is the outermost, so that it covers every answer.
    served.layer(MapRequestLayer::new(discard_unread))
}

/// The operations that the settings offer.
fn operations(app: &App) -> OpenApiRouter<App> {
    let features = app.settings.features;
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
    let offered = groups.into_iter().filter(|(offered, _)| *offered);
    let api = OpenApiRouter::with_openapi(openapi::Frame::openapi()).merge(meta::health());
    offered.fold(api, |api, (_, routes)| api.merge(routes()))
}

/// The operations with their document, under the mount prefix.
fn documented(app: &App, custom: Option<&Custom>) -> Router<App> {
    let serves_meta = app.settings.features.meta;
    let prefix = app.settings.mount_prefix.as_deref().unwrap_or_default().trim_matches('/');
    let (mut router, mut document) = operations(app).split_for_parts();
    openapi::describe_refusals(&mut document);
    if !prefix.is_empty() {
        document.servers = Some(vec![Server::new(format!("/{prefix}"))]);
    }
    if serves_meta {
        let app_document = custom.and_then(|(description, ..)| description.openapi.as_ref());
        let text = openapi::text(&document, &app.settings.security, app_document).unwrap_or_else(|error| {
            tracing::error!(error = %error, "the OpenAPI document cannot be written");
            "{}".to_owned()
        });
        router = router.merge(meta::documentation()).layer(Extension(Document(Bytes::from(text))));
    }
    if prefix.is_empty() {
        return router;
    }
    let root = if serves_meta { meta::health().merge(meta::metrics()) } else { meta::health() };
    Router::from(root).nest(&format!("/{prefix}"), router)
}

/// The API behind the application's own web app, if there is one. Both share the cross-origin rules; only the API is
/// observed, because the app's routes are not its operations.
fn with_custom(router: Router, app: &App, custom: Option<Custom>) -> Router {
    let observed = Observed { ids: app.ids.clone(), headers: app.settings.logging_headers.clone() };
    let observed = from_fn_with_state(Arc::new(observed), observe);
    let cors = |router: Router| match app.settings.cors.as_ref().map(Cors::layer) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let Some((description, custom, options)) = custom else { return cors(router).layer(observed) };
    let authenticator = Authenticator::new(app.auth.clone()).with_max_body_bytes(app.settings.max_body_bytes);
    let authenticator = authenticator.with_body_budget(app.bodies.clone());
    cors(custom::mount(router.layer(observed), custom, &description, options, authenticator, &app.settings))
}
