use axum::Json;
use axum::extract::State;
use http::StatusCode;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::ItemReadOptions;
use serde_json::json;

use super::item::Item;
use super::namespace::check_labels;
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorKey, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::Query;

/// Get Item
#[utoipa::path(
    get, path = "/store/items", tag = "Store", operation_id = "get_item",
    params(
        ("key" = String, Query, description = "The key"),
        ("namespace" = Option<String>, Query, description = "The labels, joined with periods"),
        ("refresh_ttl" = Option<bool>, Query, description = "Whether the read postpones the expiry"),
    ),
    responses(
        (status = 200, description = "The item, or `null`", body = Option<Item>),
        (status = 400, description = "No key", body = ErrorKey),
        (
            status = 422, description = "Invalid request; the answer about an invalid label is plain text",
            content((ErrorResponse = "application/json"), (String = "text/plain"))
        ),
    )
)]
pub(super) async fn get_item(State(app): State<App>, caller: Caller, query: Query) -> ApiResult<Json<Option<Item>>> {
    let Some(key) = query.last("key") else {
        return Err(ApiError::error_key(StatusCode::BAD_REQUEST, "Key is required"));
    };
    let refresh = query.strict_flag("refresh_ttl")?.unwrap_or(app.settings.store_refresh_on_read);
    let namespace = labels(&query);
    check_labels(&namespace)?;
    let value = || json!({"namespace": namespace, "key": key});
    let mut permit = caller.may(Resource::Store, Action::Get, value).await?;
    let namespace = permit.labels("namespace", namespace)?;
    check_labels(&namespace)?;
    let key = permit.take("key", key.to_owned())?;
    let item =
        app.storage.item(&permit.scope, &namespace, &key, ItemReadOptions::default().with_refresh_ttl(refresh)).await?;
    Ok(Json(item.map(Into::into)))
}

/// Reads labels that are joined with periods, repeated, or in a JSON array.
fn labels(query: &Query) -> Vec<String> {
    let values = query.all("namespace");
    if values.is_empty() {
        return vec![String::new()];
    }
    let split = |value: &str| match serde_json::from_str::<Vec<String>>(value) {
        Ok(labels) => labels,
        Err(_) => value.split('.').map(str::to_owned).collect(),
    };
    values.into_iter().flat_map(split).collect()
}
