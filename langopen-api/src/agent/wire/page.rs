//! JSON answers.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use langopen_core::RawJson;
use langopen_core::model::Page;
use serde::Serialize;

use crate::agent::error::ApiResult;

/// An answer with this JSON text as its body.
pub(crate) fn json(text: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.into()).into_response()
}

/// A page of a search. Headers contain its position.
pub(crate) struct Listing {
    rows: Vec<RawJson>,
    offset: u32,
    more: bool,
}

impl Listing {
    pub(crate) fn new<T, B: Serialize>(
        page: Page<T>,
        offset: u32,
        select: &[String],
        body: impl Fn(T) -> B,
    ) -> ApiResult<Self> {
        let rows: serde_json::Result<_> =
            page.items.into_iter().map(|row| super::selected(&body(row), select)).collect();
        Ok(Self { rows: rows?, offset, more: page.more })
    }
}

impl IntoResponse for Listing {
    fn into_response(self) -> Response {
        let next = u64::from(self.offset) + self.rows.len() as u64;
        // Not the total number of rows: the reference Agent Server sends this value too, and counting rows is
        // expensive.
        let total = if self.more { next + 1 } else { next };
        let mut response = axum::Json(self.rows).into_response();
        response.headers_mut().insert("x-pagination-total", HeaderValue::from(total));
        if self.more {
            response.headers_mut().insert("x-pagination-next", HeaderValue::from(next));
        }
        response
    }
}
