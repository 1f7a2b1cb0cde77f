//! Parses JSON text. Failures name the field.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::duplicates::without_duplicates;
use super::text::{Refusal, clean};
use crate::http::error::{Failure, Result};

const NOT_JSON: &str = "Invalid JSON in request body";

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::invalid(NOT_JSON))?;
    let text = clean(text).map_err(|refusal| {
        let why = match refusal {
            Refusal::Surrogate => "a surrogate without its pair is not a character".to_owned(),
            Refusal::TooDeep => "it nests too deeply".to_owned(),
            Refusal::Number(number) => {
                let message = format!("number out of range: {number} is beyond what a double can hold");
                let (path, _) = failure::<Walk>(text).unwrap_or_default();
                return Failure::invalid(sentence(&path, &message));
            }
        };
        Failure::invalid(format!("{NOT_JSON}: {why}"))
    })?;
    match serde_json::from_str(&text) {
        Ok(value) => Ok(value),
        // Serde reports a number in place of a variant's name as a syntax error, so the syntax is checked again.
        Err(_) if serde_json::from_str::<IgnoredAny>(&text).is_err() => Err(Failure::invalid(NOT_JSON)),
        Err(_) => {
            let text = without_duplicates(&text);
            serde_json::from_str(&text).map_err(|error| explain::<T>(&text, &error))
        }
    }
}

/// Parses the text once more, with slower code that finds the path of the failure.
fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Failure {
    let (path, message) = failure::<T>(text).unwrap_or_else(|| (String::new(), error.to_string()));
    Failure::invalid(sentence(&path, &message))
}

/// The path and the message of the first value in `text` that does not fit `T`.
fn failure<T: DeserializeOwned>(text: &str) -> Option<(String, String)> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    Some((error.path().to_string(), error.inner().to_string()))
}

/// Any JSON value, read and dropped: a body of many small values takes no memory. Unlike [`IgnoredAny`], it reads
/// numbers, so it fails at one out of range.
struct Walk;

impl<'de> Deserialize<'de> for Walk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        // The path of a failure needs the name as a string.
        while members.next_entry::<String, Self>()?.is_some() {}
        Ok(self)
    }
}

fn sentence(path: &str, message: &str) -> String {
    // serde_json adds line and column, which mean nothing beside the path.
    let message = message.split_once(" at line ").map_or(message, |(message, _)| message);
    let message = &in_json_words(message);
    // serde_json's message for a missing variant name.
    let message = if message == "expected value" { "expected a string" } else { message.as_str() };
    let nested = !matches!(path, "" | "." | "?");
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        let place = if nested { format!(" of {path}") } else { String::new() };
        return format!("\"{field}\" is a required property{place}");
    }
    if nested { format!("{path}: {message}") } else { message.to_owned() }
}

/// Replaces serde's names of types with JSON's, which clients know.
fn in_json_words(message: &str) -> String {
    let Some((got, expected)) =
        message.strip_prefix("invalid type: ").and_then(|message| message.rsplit_once(", expected "))
    else {
        return message.to_owned();
    };
    let got = match got {
        "map" => "object",
        "sequence" => "array",
        got => got,
    };
    let expected = match expected {
        "a map" => "an object",
        "a sequence" => "an array",
        "i64" | "u64" | "i32" | "u32" => "an integer",
        "f64" | "a JSON number" => "a number",
        expected => expected,
    };
    format!("invalid type: {got}, expected {expected}")
}
