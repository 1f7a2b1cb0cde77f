use axum::extract::State;
use langopen_core::JsonMap;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{CronQuery, CronSort, SortOrder};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::wire::{CronBody, CronField, Listing};
use crate::http::access::Caller;
use crate::http::extract::field::{self, LIMIT, check_select};
use crate::http::extract::{SmallBody, parse_id};

/// The filter, the order and the page of the search.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = CronSearch)]
pub(super) struct CronSearchRequest {
    /// The cron must run exactly this assistant.
    #[schema(value_type = Option<Uuid>)]
    assistant_id: Option<String>,
    /// The cron must run on exactly this thread.
    #[schema(value_type = Option<Uuid>)]
    thread_id: Option<String>,
    /// Whether the cron must be enabled or disabled.
    enabled: Option<bool>,
    /// The metadata must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    #[serde(default, deserialize_with = "field::limit")]
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    limit: Option<u32>,
    #[serde(default, deserialize_with = "field::offset")]
    #[schema(minimum = 0, default = 0)]
    offset: Option<u32>,
    #[schema(inline, default = "created_at")]
    sort_by: Option<SortBy>,
    #[schema(inline, default = "desc")]
    sort_order: Option<SortOrder>,
    /// The fields to return; all if absent.
    #[schema(value_type = Option<Vec<CronField>>)]
    select: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SortBy {
    CronId,
    AssistantId,
    ThreadId,
    NextRunDate,
    EndTime,
    CreatedAt,
    UpdatedAt,
}

impl From<SortBy> for CronSort {
    fn from(by: SortBy) -> Self {
        match by {
            SortBy::CronId => Self::CronId,
            SortBy::AssistantId => Self::AssistantId,
            SortBy::ThreadId => Self::ThreadId,
            SortBy::NextRunDate => Self::NextRunDate,
            SortBy::EndTime => Self::EndTime,
            SortBy::CreatedAt => Self::CreatedAt,
            SortBy::UpdatedAt => Self::UpdatedAt,
        }
    }
}

/// Search Crons
#[utoipa::path(
    post, path = "/runs/crons/search", tag = "Crons", operation_id = "search_crons",
    request_body = CronSearchRequest,
    responses(
        (status = 200, description = "The crons", body = Vec<CronBody>),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn search_crons(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<CronSearchRequest>,
) -> ApiResult<Listing> {
    let select = body.select.unwrap_or_default();
    check_select(&select, &CronBody::FIELDS)?;
    let mut query = CronQuery::default()
        .with_assistant_id(body.assistant_id.map(|id| parse_id(&id, "assistant")).transpose()?)
        .with_thread_id(body.thread_id.map(|id| parse_id(&id, "thread")).transpose()?)
        .with_enabled(body.enabled)
        .with_metadata(body.metadata.unwrap_or_default())
        .with_limit(body.limit.unwrap_or(LIMIT))
        .with_offset(body.offset.unwrap_or_default())
        .with_sort_by(body.sort_by.map(Into::into).unwrap_or_default())
        .with_sort_order(body.sort_order.unwrap_or_default());
    let value = || {
        json!({
            "assistant_id": query.assistant_id, "thread_id": query.thread_id, "metadata": query.metadata,
            "limit": query.limit, "offset": query.offset,
        })
    };
    let mut permit = caller.may(Resource::Crons, Action::Search, value).await?;
    query.metadata = permit.object("metadata", query.metadata);
    let page = app.storage.search_crons(&permit.scope, &query).await?;
    Listing::new(page, query.offset, &select, CronBody::from)
}
