use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult};

/// When a thread is removed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ThreadTtl)]
#[expect(dead_code, reason = "checked, and then refused: see `refuse`")]
pub(super) struct Ttl {
    #[serde(default)]
    #[schema(inline)]
    strategy: Strategy,
    /// Minutes.
    #[serde(default)]
    ttl: Option<f64>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(default = "delete")]
enum Strategy {
    #[default]
    Delete,
    KeepLatest,
}

/// Threads do not expire yet; saying so is better than keeping for ever what should go.
pub(super) fn refuse(ttl: Option<&Ttl>) -> ApiResult<()> {
    match ttl {
        Some(_) => Err(ApiError::invalid("ttl: this server does not let threads expire yet; leave the field out")),
        None => Ok(()),
    }
}
