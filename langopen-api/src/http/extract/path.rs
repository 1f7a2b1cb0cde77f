//! The ids in a path.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use langopen_core::{AssistantId, CronId, RunId, ThreadId};

use crate::http::error::{ApiError, ApiResult};
use crate::server::App;

/// `/assistants/{assistant_id}`.
pub(crate) struct AssistantPath(pub(crate) AssistantId);

/// `/a2a/{assistant_id}`, unparsed: the protocol has its own answer for an invalid id.
pub(crate) struct AssistantIdText(pub(crate) String);

/// `/runs/crons/{cron_id}`.
pub(crate) struct CronPath(pub(crate) CronId);

/// `/threads/{thread_id}`.
pub(crate) struct ThreadPath(pub(crate) ThreadId);

/// `/threads/{thread_id}` of an operation that creates a run. The message for an invalid id differs.
pub(crate) struct NewRunPath(pub(crate) ThreadId);

/// `/threads/{thread_id}/runs/{run_id}`.
pub(crate) struct RunPath(pub(crate) ThreadId, pub(crate) RunId);

/// Parses an id. `thing` is the kind of id, for the message.
pub(crate) fn parse_id<T: FromStr>(text: &str, thing: &str) -> ApiResult<T> {
    text.parse().map_err(|_| ApiError::invalid(format!("Invalid {thing} ID: must be a UUID")))
}

async fn params(parts: &mut Parts, app: &App) -> ApiResult<RawPathParams> {
    let params = RawPathParams::from_request_parts(parts, app).await;
    params.map_err(|_| ApiError::invalid("The path is not UTF-8"))
}

fn param<'a>(params: &'a RawPathParams, name: &str) -> &'a str {
    params.iter().find(|(held, _)| *held == name).map_or("", |(_, value)| value)
}

impl FromRequestParts<App> for AssistantPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        parse_id(param(&params(parts, app).await?, "assistant_id"), "assistant").map(Self)
    }
}

impl FromRequestParts<App> for AssistantIdText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        Ok(Self(param(&params(parts, app).await?, "assistant_id").to_owned()))
    }
}

impl FromRequestParts<App> for CronPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        parse_id(param(&params(parts, app).await?, "cron_id"), "cron").map(Self)
    }
}

impl FromRequestParts<App> for ThreadPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        parse_id(param(&params(parts, app).await?, "thread_id"), "thread").map(Self)
    }
}

impl FromRequestParts<App> for NewRunPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let params = params(parts, app).await?;
        let id = param(&params, "thread_id").parse();
        id.map(Self).map_err(|_| ApiError::invalid("Invalid thread ID"))
    }
}

impl FromRequestParts<App> for RunPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let params = params(parts, app).await?;
        let thread_id = parse_id(param(&params, "thread_id"), "thread")?;
        Ok(Self(thread_id, parse_id(param(&params, "run_id"), "run")?))
    }
}
