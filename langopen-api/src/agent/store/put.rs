use axum::extract::State;
use http::StatusCode;
use langopen_core::RawJson;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{FieldVector, NewStoreItem};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, Type};

use super::namespace::{check_labels, check_target};
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::http::access::{Caller, Permit};
use crate::http::extract::Body;
use crate::http::extract::field::shorten;

/// The item to store.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct StorePutRequest {
    /// The labels, from the outermost to the innermost.
    namespace: Vec<String>,
    key: String,
    #[serde(deserialize_with = "object")]
    #[schema(value_type = Object)]
    value: RawJson,
    /// The paths of the texts to embed. `false` embeds none; absent selects the paths in the application's
    /// configuration.
    #[serde(default)]
    #[schema(schema_with = index_schema)]
    index: Index,
    /// The minutes until the item expires.
    #[serde(default)]
    ttl: Option<f64>,
}

/// The schema of `index`: paths, `false` or null.
fn index_schema() -> RefOr<Schema> {
    let paths = ArrayBuilder::new().items(Object::with_type(Type::String));
    let never = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false]));
    OneOfBuilder::new().item(paths).item(never).item(Object::with_type(Type::Null)).into()
}

fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RawJson, D::Error> {
    let raw = RawJson::deserialize(deserializer)?;
    if raw.as_str().starts_with('{') {
        return Ok(raw);
    }
    Err(de::Error::custom(format_args!("expected an object, got {}", shorten(&raw.as_str()))))
}

/// The texts of an item to embed.
#[derive(Debug, Default)]
enum Index {
    #[default]
    Configured,
    Nothing,
    Fields(Vec<String>),
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawJson::deserialize(deserializer)?;
        match (raw.as_str(), raw.decode()) {
            ("null", _) => Ok(Self::Configured),
            ("false", _) => Ok(Self::Nothing),
            (_, Ok(fields)) => Ok(Self::Fields(fields)),
            (text, _) => Err(de::Error::custom(format_args!(
                "expected false, null or an array of strings, got {}",
                shorten(&text)
            ))),
        }
    }
}

impl Index {
    /// Embeds a value's texts. Without an embedder there are no vectors.
    async fn vectors(&self, app: &App, value: &RawJson) -> ApiResult<Vec<FieldVector>> {
        let Some(embedder) = &app.embedder else { return Ok(Vec::new()) };
        Ok(match self {
            Self::Nothing => Vec::new(),
            Self::Configured => embedder.embed_value(value, None).await?,
            Self::Fields(fields) => embedder.embed_value(value, Some(fields)).await?,
        })
    }

    /// The form that authorizers see.
    fn shown(&self) -> Value {
        match self {
            Self::Configured => Value::Null,
            Self::Nothing => false.into(),
            Self::Fields(fields) => fields.clone().into(),
        }
    }
}

/// Store or Update Item
#[utoipa::path(
    put, path = "/store/items", tag = "Store", operation_id = "put_item",
    request_body = StorePutRequest,
    responses(
        (status = 204, description = "The item is stored"),
        (status = 400, description = "Invalid namespace", body = ErrorResponse),
        (
            status = 422, description = "Invalid request; the answer about an invalid label is plain text",
            content((ErrorResponse = "application/json"), (String = "text/plain"))
        ),
    )
)]
pub(super) async fn put_item(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<StorePutRequest>,
) -> ApiResult<StatusCode> {
    check_labels(&body.namespace)?;
    if body.ttl.is_some_and(|minutes| minutes <= 0.0) {
        return Err(ApiError::invalid("ttl: must be greater than 0"));
    }
    let value =
        || json!({"namespace": body.namespace, "key": body.key, "value": body.value, "index": body.index.shown()});
    let mut permit = caller.may(Resource::Store, Action::Put, value).await?;
    let namespace = permit.labels("namespace", body.namespace)?;
    check_target(&namespace)?;
    let value = left_value(&mut permit, body.value)?;
    let new = NewStoreItem {
        namespace,
        key: permit.take("key", body.key)?,
        vectors: body.index.vectors(&app, &value).await?,
        value,
        ttl_minutes: body.ttl.or(app.settings.store_default_ttl_minutes),
        lease: None,
    };
    app.storage.put_item(&permit.scope, new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The value as the authorizer changed it; the client's own text if the authorizer changed nothing.
fn left_value(permit: &mut Permit, given: RawJson) -> ApiResult<RawJson> {
    if permit.value.is_none() {
        return Ok(given);
    }
    let same: Value = given.decode()?;
    match permit.take("value", Value::Null)? {
        left if left == same => Ok(given),
        left @ Value::Object(_) => Ok(left.into()),
        _ => Err(ApiError::internal()),
    }
}
