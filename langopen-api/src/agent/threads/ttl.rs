//! The time to live of threads in requests.

use langopen_core::model::{PruneStrategy, ThreadTtl};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use utoipa::ToSchema;

use crate::agent::error::{ApiError, ApiResult};
use crate::http::extract::field::shorten;

/// The maximum time to live, in minutes: about two thousand years.
const LONGEST: f64 = 1e9;

/// A thread's time to live without activity, and what the server deletes then.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ThreadTtl)]
pub(super) struct Ttl {
    #[serde(default)]
    #[schema(inline)]
    strategy: PruneStrategy,
    /// The time to live, in minutes.
    ttl: Option<f64>,
}

/// An object; `null` counts as absent.
pub(super) fn ttl<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ttl>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        object @ Value::Object(_) => serde_json::from_value(object).map(Some).map_err(de::Error::custom),
        other => {
            let found = shorten(&other);
            Err(de::Error::custom(format_args!("expected an object, got {found}")))
        }
    }
}

impl Ttl {
    /// The checked time to live. If the request has no minutes, those of the default apply.
    pub(super) fn check(self, default: Option<ThreadTtl>) -> ApiResult<ThreadTtl> {
        let minutes = self.ttl.or(default.map(|default| default.minutes));
        let minutes = minutes.ok_or_else(|| ApiError::invalid("ttl: \"ttl\" is a required property"))?;
        if minutes > 0.0 && minutes <= LONGEST {
            return Ok(ThreadTtl { strategy: self.strategy, minutes });
        }
        Err(ApiError::invalid(format!("ttl.ttl: {minutes} is not greater than 0 and at most {LONGEST} minutes")))
    }
}
