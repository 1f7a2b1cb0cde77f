//! The result of an authorization, with the request's data as the authorizer changed it.

use langopen_core::{JsonMap, Scope};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::error::{Failure, Result};

/// The result of an authorization.
pub(crate) struct Permit {
    /// The rows that the caller may see.
    pub(crate) scope: Scope,
    /// The request's data as the authorizer changed it; `None` if no authorizer handles the request.
    pub(crate) value: Option<JsonMap>,
}

/// The fields of the request's data that must keep their type, by name: `true` for an object, `false` for an array.
pub(super) fn fields(value: &Value) -> Vec<(String, bool)> {
    let documents = value.as_object().into_iter().flatten().filter(|(_, field)| field.is_object() || field.is_array());
    documents.map(|(name, field)| (name.clone(), field.is_object())).collect()
}

/// The data as the authorizer changed it, or the name of the field whose type it broke. It may remove a field or set it
/// to `null`.
pub(super) fn checked(value: Value, fields: &[(String, bool)]) -> Result<JsonMap, String> {
    let Value::Object(value) = value else { return Err("value".to_owned()) };
    let broken = fields.iter().find(|(name, object)| match value.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Object(_)) => !object,
        Some(Value::Array(_)) => *object,
        Some(_) => true,
    });
    match broken {
        Some((name, _)) => Err(name.clone()),
        None => Ok(value),
    }
}

impl Permit {
    /// The object under `key` as the authorizer changed it; `given` if no authorizer handles the request.
    pub(crate) fn object(&mut self, key: &str, given: JsonMap) -> JsonMap {
        let Some(value) = &mut self.value else { return given };
        match value.remove(key) {
            Some(Value::Object(object)) => object,
            _ => JsonMap::new(),
        }
    }

    /// The namespace labels under `key` as the authorizer changed them; `given` if no authorizer handles the request.
    pub(crate) fn labels(&mut self, key: &str, given: Vec<String>) -> Result<Vec<String>> {
        let Some(value) = &mut self.value else { return Ok(given) };
        let left = value.remove(key).filter(|left| !left.is_null());
        let labels = serde_json::from_value(left.unwrap_or_else(|| Value::Array(Vec::new())));
        labels.map_err(|_| Failure::invalid(format!("{key}: labels must be strings")))
    }

    /// The field under `key` as the authorizer changed it; `given` if no authorizer handles the request. A removed
    /// field counts as `null`.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, key: &str, given: T) -> Result<T> {
        let Some(value) = &mut self.value else { return Ok(given) };
        serde_json::from_value(value.remove(key).unwrap_or_default()).map_err(|error| {
            tracing::error!(field = key, error = %error, "an authorization handler changed the type of a field");
            Failure::internal()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_keep_their_types() {
        let fields = fields(&json!({"metadata": {}, "namespace": ["a"], "limit": 10, "query": null}));
        for left in [
            json!({"metadata": {"a": 1}, "namespace": []}),
            json!({"namespace": null, "limit": "x", "query": "now"}),
            json!({}),
        ] {
            assert!(checked(left.clone(), &fields).is_ok(), "{left}");
        }
        for left in [json!({"metadata": []}), json!({"namespace": "a"}), json!({"namespace": {}}), json!(null)] {
            assert!(checked(left.clone(), &fields).is_err(), "{left}");
        }
    }
}
