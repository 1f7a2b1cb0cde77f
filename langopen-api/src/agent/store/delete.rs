use axum::extract::State;
use http::StatusCode;
use langopen_core::auth::{Action, Resource};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::namespace::check_labels;
use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::SmallBody;

/// The item to delete.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct StoreDeleteRequest {
    #[serde(default)]
    namespace: Option<Vec<String>>,
    key: String,
}

/// Delete Item
#[utoipa::path(
    delete, path = "/store/items", tag = "Store", operation_id = "delete_item",
    request_body = StoreDeleteRequest,
    responses(
        (status = 204, description = "The item is gone"),
        (
            status = 422, description = "Invalid request; the answer about an invalid label is plain text",
            content((ErrorResponse = "application/json"), (String = "text/plain"))
        ),
    )
)]
pub(super) async fn delete_item(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<StoreDeleteRequest>,
) -> ApiResult<StatusCode> {
    let namespace = body.namespace.unwrap_or_default();
    check_labels(&namespace)?;
    let value = || json!({"namespace": namespace, "key": body.key});
    let mut permit = caller.may(Resource::Store, Action::Delete, value).await?;
    let namespace = permit.labels("namespace", namespace)?;
    check_labels(&namespace)?;
    let key = permit.take("key", body.key)?;
    app.storage.delete_item(&permit.scope, &namespace, &key, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
