//! Deserializers for fields with rules that their type does not express. A field that is `null` counts as absent,
//! except for documents; see [`map`].

use std::fmt::{self, Display};
use std::marker::PhantomData;

use langopen_core::JsonMap;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

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

/// Checks that each name in `select` is in `allowed`.
pub(crate) fn check_select(select: &[String], allowed: &[&str]) -> crate::http::error::Result<()> {
    match select.iter().find(|name| !allowed.contains(&name.as_str())) {
        Some(name) => {
            Err(crate::http::error::Failure::invalid(format!("select: {name:?} is not one of {}", allowed.join(", "))))
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
