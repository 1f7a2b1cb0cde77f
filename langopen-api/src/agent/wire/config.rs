//! Deserializers for the fields that every request about a graph shares.

use langopen_core::JsonMap;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Value;

use crate::http::extract::field::shorten;

/// The URL of a webhook: a text of 1 to 65536 characters that may be absent.
pub(crate) fn webhook<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let webhook = Option::<String>::deserialize(deserializer)?;
    if webhook.as_ref().is_some_and(|text| text.is_empty() || text.chars().nth(65_536).is_some()) {
        return Err(D::Error::custom("must have 1 to 65536 characters"));
    }
    Ok(webhook)
}

/// A runnable config: an object that may be absent. It checks the types of `tags`, `recursion_limit`, `configurable`
/// and `metadata`, and keeps other keys.
pub(crate) fn config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JsonMap>, D::Error> {
    let mut config = JsonMap::deserialize(deserializer)?;
    config.retain(|key, value| {
        !(value.is_null() && matches!(key.as_str(), "tags" | "recursion_limit" | "configurable" | "metadata"))
    });
    for (key, value) in &config {
        let (fits, wanted) = match key.as_str() {
            "tags" => {
                let texts = value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string));
                (texts, "an array of strings")
            }
            "recursion_limit" => (value.is_i64() || value.is_u64(), "an integer"),
            "configurable" | "metadata" => (value.is_object(), "an object"),
            _ => (true, ""),
        };
        if !fits {
            return Err(D::Error::custom(format_args!("{key} must be {wanted}, got {}", shorten(value))));
        }
    }
    Ok(Some(config))
}
