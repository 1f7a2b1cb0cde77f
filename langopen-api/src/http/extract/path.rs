//! The parameters in a path.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::http::error::{Failure, Result};

/// The text of a parameter in the path; empty if the route has no such parameter.
pub(crate) async fn param(parts: &mut Parts, name: &str) -> Result<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|_| Failure::invalid("The path is not UTF-8"))?;
    let value = params.iter().find(|(held, _)| *held == name).map(|(_, value)| value.to_owned());
    Ok(value.unwrap_or_default())
}

/// Parses an id. `thing` is the kind of id, for the message.
pub(crate) fn parse_id<T: FromStr>(text: &str, thing: &str) -> Result<T> {
    text.parse().map_err(|_| Failure::invalid(format!("Invalid {thing} ID: must be a UUID")))
}
