use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;
use crate::agent::error::ApiResult;
use crate::http::extract::Query;

/// The answer of a healthy server.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
struct Healthy {
    ok: bool,
    /// The parts that the server checked, each `healthy`. Absent if `Features::meta` is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<BTreeMap<&'static str, &'static str>>,
}

/// The answer of a server with a part that fails.
#[derive(Serialize, ToSchema)]
struct Unhealthy {
    ok: bool,
    detail: &'static str,
    /// The parts that the server checked, each `healthy` or `unhealthy`.
    services: BTreeMap<&'static str, &'static str>,
}

impl Default for Unhealthy {
    fn default() -> Self {
        Self { ok: false, detail: "The database does not accept writes", services: [("database", "unhealthy")].into() }
    }
}

/// The routes of `/ok` and `/`, which give the same answer.
pub(crate) fn health() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_ok)).route("/", axum::routing::get(get_ok))
}

// This struct only documents the query; the handler reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct OkQuery {
    /// 1 to check the database with a write.
    #[param(schema_with = zero_or_one, required = false)]
    check_db: Option<u8>,
}

/// 0 or 1.
fn zero_or_one() -> Schema {
    ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0, 1])).default(Some(0.into())).into()
}

/// Health Check
#[utoipa::path(
    get, path = "/ok", tag = "Meta", operation_id = "get_ok",
    params(OkQuery),
    responses(
        (status = 200, description = "The server is healthy", body = Healthy),
        (status = 500, description = "The database does not accept writes", body = Unhealthy),
    )
)]
async fn get_ok(State(app): State<App>, query: Query) -> ApiResult<Response> {
    if !app.settings.features.meta {
        return Ok(Json(Healthy { ok: true, services: None }).into_response());
    }
    let mut services = BTreeMap::new();
    if query.flag("check_db") {
        if let Err(error) = app.storage.check_health().await {
            tracing::error!(error = %error, "the database does not accept writes");
            return Ok((StatusCode::INTERNAL_SERVER_ERROR, Json(Unhealthy::default())).into_response());
        }
        services.insert("database", "healthy");
    }
    Ok(Json(Healthy { ok: true, services: Some(services) }).into_response())
}
