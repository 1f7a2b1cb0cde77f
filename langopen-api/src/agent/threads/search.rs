use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{SortOrder, ThreadQuery, ThreadSort, ThreadStatus};
use langopen_core::{JsonMap, ThreadId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::extract::Extract;
use crate::agent::App;
use crate::agent::error::{ApiResult, ErrorResponse};
use crate::agent::wire::{Listing, ThreadBody, ThreadField};
use crate::http::access::Caller;
use crate::http::extract::field::{self, LIMIT, check_select};
use crate::http::extract::{SmallBody, parse_id};

/// The filter, the order and the page of the search.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct ThreadSearchRequest {
    /// The thread's id must be one of these.
    #[schema(value_type = Option<Vec<Uuid>>)]
    ids: Option<Vec<String>>,
    /// The metadata must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    /// The values must contain these entries.
    #[serde(default, deserialize_with = "field::map")]
    #[schema(value_type = Option<Object>)]
    values: Option<JsonMap>,
    #[schema(inline)]
    status: Option<ThreadStatus>,
    #[serde(default, deserialize_with = "field::limit")]
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    limit: Option<u32>,
    #[serde(default, deserialize_with = "field::offset")]
    #[schema(minimum = 0, default = 0)]
    offset: Option<u32>,
    #[schema(inline)]
    sort_by: Option<SortBy>,
    #[schema(inline)]
    sort_order: Option<SortOrder>,
    /// The fields to return; all if absent.
    #[schema(value_type = Option<Vec<ThreadField>>)]
    select: Option<Vec<String>>,
    /// Names with paths such as `values.messages[-1].content`. The answer has their values under `extracted`.
    extract: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SortBy {
    ThreadId,
    Status,
    CreatedAt,
    UpdatedAt,
    StateUpdatedAt,
}

impl From<SortBy> for ThreadSort {
    fn from(by: SortBy) -> Self {
        match by {
            SortBy::ThreadId => Self::ThreadId,
            SortBy::Status => Self::Status,
            SortBy::CreatedAt => Self::CreatedAt,
            SortBy::UpdatedAt => Self::UpdatedAt,
            SortBy::StateUpdatedAt => Self::StateUpdatedAt,
        }
    }
}

/// Search Threads
#[utoipa::path(
    post, path = "/threads/search", tag = "Threads", operation_id = "search_threads",
    request_body = ThreadSearchRequest,
    responses(
        (status = 200, description = "The threads", body = Vec<ThreadBody>),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn search_threads(
    State(app): State<App>,
    caller: Caller,
    SmallBody(body): SmallBody<ThreadSearchRequest>,
) -> ApiResult<Listing> {
    let mut select = body.select.unwrap_or_default();
    check_select(&select, &ThreadBody::FIELDS)?;
    let extract = Extract::parse(&body.extract.unwrap_or_default())?;
    if !select.is_empty() {
        select.push("extracted".to_owned());
    }
    let ids = body.ids.map(|ids| ids.iter().map(|id| parse_id::<ThreadId>(id, "thread")).collect()).transpose()?;
    let mut query = ThreadQuery::default()
        .with_ids(ids)
        .with_metadata(body.metadata.unwrap_or_default())
        .with_values(body.values.unwrap_or_default())
        .with_status(body.status)
        .with_limit(body.limit.unwrap_or(LIMIT))
        .with_offset(body.offset.unwrap_or_default())
        .with_sort_by(body.sort_by.map(Into::into).unwrap_or_default())
        .with_sort_order(body.sort_order.unwrap_or_default());
    let value = || {
        json!({
            "metadata": query.metadata, "values": query.values, "status": query.status, "limit": query.limit,
            "offset": query.offset, "ids": query.ids, "thread_id": null,
        })
    };
    let mut permit = caller.may(Resource::Threads, Action::Search, value).await?;
    query.metadata = permit.object("metadata", query.metadata);
    query.values = permit.object("values", query.values);
    query.status = permit.take("status", query.status)?;
    query.ids = permit.take("ids", query.ids)?;
    let page = app.storage.search_threads(&permit.scope, &query).await?;
    Listing::new(page, query.offset, &select, |thread| {
        let extracted = (!extract.is_empty()).then(|| extract.of(&thread));
        let mut body = ThreadBody::from(thread);
        body.extracted = extracted;
        body
    })
}
