//! Request bodies.

use std::time::Duration;

use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tower_http::timeout::{TimeoutBody, TimeoutError};

use super::field::Object;
use super::json::parse;
use crate::error::{ApiError, ApiResult};
use crate::server::App;
use crate::settings::Settings;

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
    read_body(&parts.headers, body, BodyLimits::of(&app.settings)).await
}

/// What a body may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes: usize,
    pub(crate) silence: Duration,
}

impl BodyLimits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { bytes: settings.max_body_bytes, silence: settings.body_timeout }
    }
}

/// The bytes of a body, up to the limits.
pub(crate) async fn read_body(headers: &HeaderMap, body: HttpBody, limits: BodyLimits) -> ApiResult<Bytes> {
    let limit = limits.bytes;
    let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Request body exceeds {limit} bytes"));
    let told = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if told.is_some_and(|told: usize| told > limit) {
        return Err(too_large());
    }
    // A sender that falls silent does not hold its connection and its memory for ever.
    let body = TimeoutBody::new(limits.silence, body);
    to_bytes(HttpBody::new(body), limit).await.map_err(|error| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(each) = cause {
            if each.is::<TimeoutError>() {
                return ApiError::new(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time");
            }
            // The type of the limit's error is not ours to name: it says so in words.
            if each.to_string().contains("length limit exceeded") {
                return too_large();
            }
            cause = each.source();
        }
        ApiError::bad_request("The request body broke off")
    })
}
