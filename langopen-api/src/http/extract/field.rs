//! Deserializers for fields with rules that their type does not express. A field that is `null` counts as absent,
//! except for documents; see [`map`].

use std::fmt::{self, Display};
use std::marker::PhantomData;

use langopen_core::JsonMap;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// The default of `limit`.
pub(crate) const LIMIT: u32 = 10;
/// The greatest `limit`.
pub(crate) const MAX_LIMIT: u32 = 1000;

/// An integer from 1 to 1000.
pub(crate) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    within(deserializer, 1, i64::from(MAX_LIMIT))
}

/// An integer that is not negative.
pub(crate) fn offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    within(deserializer, 0, i64::from(u32::MAX))
}

fn within<'de, D: Deserializer<'de>>(deserializer: D, least: i64, most: i64) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<i64>::deserialize(deserializer)? else { return Ok(None) };
    if number < least {
        return Err(D::Error::custom(format_args!("{number} is less than the minimum of {least}")));
    }
    if number > most {
        return Err(D::Error::custom(format_args!("{number} is greater than the maximum of {most}")));
    }
    Ok(u32::try_from(number).ok())
}

/// A struct that must be a JSON object. Serde's derived implementation would also accept an array.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Read(PhantomData)).map(Self)
    }
}

/// An object that may be absent or `null`.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

/// An object that may be absent, but not `null`. The Agent Server refuses `null` where its schema requires an object,
/// and no SDK sends it.
pub(crate) fn map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JsonMap>, D::Error> {
    JsonMap::deserialize(deserializer).map(Some)
}

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

/// Checks that each name in `select` is in `allowed`.
pub(crate) fn check_select(select: &[String], allowed: &[&str]) -> crate::http::error::ApiResult<()> {
    match select.iter().find(|name| !allowed.contains(&name.as_str())) {
        Some(name) => {
            Err(crate::http::error::ApiError::invalid(format!("select: {name:?} is not one of {}", allowed.join(", "))))
        }
        None => Ok(()),
    }
}

/// The text of a value, shortened for a message.
pub(crate) fn shorten(value: &impl Display) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
