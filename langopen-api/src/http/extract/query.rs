//! Query parameters. Clients send lists in three forms: repeated, comma-joined, or as a JSON array.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::http::error::{Failure, Result};

/// The parameters in their order, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    fn parse(query: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        };
        Self(query.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// The last value of a parameter; an empty one counts as absent.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().rev().find(|(held, _)| held == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// All values of a parameter, undivided.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(held, _)| held == name).map(|(_, value)| value.as_str()).collect()
    }

    /// All values of a parameter, in any of the three forms.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        for (_, value) in self.0.iter().filter(|(held, _)| held == name) {
            match serde_json::from_str::<Vec<String>>(value) {
                Ok(list) => values.extend(list),
                Err(_) => {
                    values.extend(value.split(',').map(str::trim).filter(|each| !each.is_empty()).map(str::to_owned))
                }
            }
        }
        values
    }

    /// Whether a parameter is `1`, `true` or `yes`. Any other value counts as false, as in the reference Agent Server.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.last(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes"))
    }

    /// A boolean parameter. An invalid value is an error.
    pub(crate) fn strict_flag(&self, name: &str) -> Result<Option<bool>> {
        match self.last(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("1" | "true" | "yes") => Ok(Some(true)),
            Some("0" | "false" | "no") => Ok(Some(false)),
            Some(other) => Err(Failure::invalid(format!("Invalid {name} {other}"))),
        }
    }

    /// A number from `least` to `most`.
    pub(crate) fn number(&self, name: &str, default: u32, least: u32, most: u32) -> Result<u32> {
        let Some(text) = self.last(name) else { return Ok(default) };
        let number = text.parse().map_err(|_| Failure::invalid(format!("Invalid {name} {text}")))?;
        if !(least..=most).contains(&number) {
            return Err(Failure::invalid(format!("Invalid {name} {text}: must be from {least} to {most}")));
        }
        Ok(number)
    }
}

/// Decodes percent-encoding and `+`.
fn decode(text: &str) -> String {
    // Databases cannot store U+0000; bodies have the same rule.
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_three_forms() {
        for query in ["a=x&a=y", "a=x,y", "a=%5B%22x%22%2C%22y%22%5D", "a=x%2C+y"] {
            assert_eq!(Query::parse(query).list("a"), ["x", "y"], "{query}");
        }
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%+5%41"), "% 5A", "a sign is no hexadecimal digit");
    }
}
