//! Request bodies.

use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::field::Object;
use super::json::parse;
use crate::error::{ApiError, ApiResult};
use crate::server::App;

/// A JSON body that is an object, whatever its content type says.
pub(crate) struct Body<T>(pub(crate) T);

/// A JSON body that is an array.
pub(crate) struct ListBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        parse(&read(request, app).await?).map(|Object(body)| Self(body))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for ListBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        parse(&read(request, app).await?).map(Self)
    }
}

async fn read(request: Request, app: &App) -> ApiResult<Bytes> {
    let (parts, body) = request.into_parts();
    read_body(&parts.headers, body, app.settings.max_body_bytes).await
}

/// The bytes of a body, up to the limit.
pub(crate) async fn read_body(headers: &HeaderMap, body: HttpBody, limit: usize) -> ApiResult<Bytes> {
    let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Request body exceeds {limit} bytes"));
    let told = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if told.is_some_and(|told: usize| told > limit) {
        return Err(too_large());
    }
    to_bytes(body, limit).await.map_err(|error| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(each) = cause {
            // The type of the limit's error is not ours to name: it says so in words.
            if each.to_string().contains("length limit exceeded") {
                return too_large();
            }
            cause = each.source();
        }
        ApiError::bad_request("The request body broke off")
    })
}
