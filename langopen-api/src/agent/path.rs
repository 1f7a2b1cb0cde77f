//! The ids in a path.

use axum::extract::FromRequestParts;
use http::request::Parts;
use langopen_core::{AssistantId, CronId, RunId, ThreadId};

use crate::agent::error::{ApiError, ApiResult};
use crate::http::extract::{param, parse_id};

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

impl<S: Send + Sync> FromRequestParts<S> for AssistantPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        Ok(Self(parse_id(&param(parts, "assistant_id").await?, "assistant")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AssistantIdText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        Ok(Self(param(parts, "assistant_id").await?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CronPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        Ok(Self(parse_id(&param(parts, "cron_id").await?, "cron")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ThreadPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        Ok(Self(parse_id(&param(parts, "thread_id").await?, "thread")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NewRunPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let id = param(parts, "thread_id").await?.parse();
        id.map(Self).map_err(|_| ApiError::invalid("Invalid thread ID"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RunPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let thread_id = parse_id(&param(parts, "thread_id").await?, "thread")?;
        Ok(Self(thread_id, parse_id(&param(parts, "run_id").await?, "run")?))
    }
}
