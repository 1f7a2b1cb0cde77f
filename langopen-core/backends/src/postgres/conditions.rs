//! SQL conditions on JSON documents: containment, and the filters of authorization.
//!
//! Each row stores its metadata twice: as the text that the client sent, and as [`searchable`] JSONB. On the latter,
//! `@>` gives the same result as [`contains_all`](langopen_core::filter::contains_all).
//!
//! Every row that passes a filter also passes its SQL condition. The condition may pass more rows for equality of
//! numbers, arrays and objects. The function then returns `false`, and the caller must check each row itself.

use langopen_core::error::Result;
use langopen_core::filter::MetadataFilter;
use langopen_core::json::JsonMap;
use serde_json::{Map, Number, Value};
use sqlx::{Postgres, QueryBuilder};

use super::columns::text;

/// The maximum number of conditions of one filter. `DEEPEST` is the maximum depth.
const MOST: usize = 1000;
const DEEPEST: usize = 20;

/// Up to this number, every integer has an exact `f64`.
const LARGEST: u64 = 1 << 53;

/// A private-use character that escapes U+0000, which JSONB cannot hold. It is doubled to escape itself.
const ESCAPE: char = '\u{f8ff}';

/// The JSON text of metadata for SQL conditions. Equal numbers have the same text, and no string contains U+0000.
pub(super) fn searchable(document: &Map<String, Value>) -> Result<String> {
    let entries: Map<_, _> = document.iter().map(|(key, value)| (escaped(key), searchable_value(value))).collect();
    text(&entries)
}

fn searchable_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(escaped(text)),
        Value::Number(number) => Value::Number(rounded(number)),
        Value::Array(items) => Value::Array(items.iter().map(searchable_value).collect()),
        Value::Object(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (escaped(key), searchable_value(value))).collect())
        }
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

fn escaped(text: &str) -> String {
    if !text.contains(['\0', ESCAPE]) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, ESCAPE]),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Two numbers are equal if their `f64` values are, so a large number is written as its `f64`.
fn rounded(number: &Number) -> Number {
    match number.as_i64() {
        Some(integer) if integer.unsigned_abs() <= LARGEST => number.clone(),
        _ => number.as_f64().and_then(Number::from_f64).unwrap_or_else(|| number.clone()),
    }
}

/// Adds the condition that a searchable column contains `part`.
pub(super) fn push_contains(sql: &mut QueryBuilder<Postgres>, column: &str, part: &JsonMap) -> Result<()> {
    if !part.is_empty() {
        sql.push(format_args!(" AND {column} @> ")).push_bind(searchable(part)?).push("::JSONB");
    }
    Ok(())
}

/// Adds the condition that a searchable column passes the filter.
pub(super) fn push_filter(
    sql: &mut QueryBuilder<Postgres>,
    column: &str,
    filter: Option<&MetadataFilter>,
) -> Result<bool> {
    let Some(filter) = filter else { return Ok(true) };
    sql.push(" AND ");
    let mut conditions = Conditions { sql, column, number: 0, decided: true };
    conditions.filter(filter, DEEPEST)?;
    Ok(conditions.decided)
}

struct Conditions<'q> {
    sql: &'q mut QueryBuilder<Postgres>,
    column: &'q str,
    number: usize,
    decided: bool,
}

impl Conditions<'_> {
    fn filter(&mut self, filter: &MetadataFilter, depth: usize) -> Result<()> {
        self.number += 1;
        if self.number > MOST || depth == 0 {
            self.decided = false;
            self.sql.push("TRUE");
            return Ok(());
        }
        match filter {
            MetadataFilter::Equals(key, value) => {
                self.decided &= is_plain(value);
                self.contains(key, value.clone())
            }
            MetadataFilter::Contains(key, wanted) => {
                let wanted = wanted.as_array().map_or_else(|| vec![wanted.clone()], Vec::clone);
                self.decided &= wanted.iter().all(is_plain);
                self.contains(key, Value::Array(wanted))
            }
            MetadataFilter::All(filters) => self.joined(filters, depth, "TRUE", " AND "),
            MetadataFilter::Any(filters) => self.joined(filters, depth, "FALSE", " OR "),
        }
    }

    fn contains(&mut self, key: &str, value: Value) -> Result<()> {
        let part = searchable(&Map::from_iter([(key.to_owned(), value)]))?;
        self.sql.push(self.column).push(" @> ").push_bind(part).push("::JSONB");
        Ok(())
    }

    fn joined(&mut self, filters: &[MetadataFilter], depth: usize, none: &str, between: &str) -> Result<()> {
        self.sql.push("(").push(none);
        for filter in filters {
            self.sql.push(between);
            self.filter(filter, depth - 1)?;
        }
        self.sql.push(")");
        Ok(())
    }
}

/// Whether containing this value means being equal to it. It does not for arrays and objects, nor for numbers: JSONB
/// treats `1` and `1.0` as equal, but the filter does not.
fn is_plain(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(_) | Value::String(_))
}

/// The subset of `part` that SQL can test on text that is not [`searchable`]. It omits numbers and everything that
/// JSONB cannot hold.
pub(super) fn weakened(part: &JsonMap) -> JsonMap {
    let fits = |text: &str| !text.contains('\0');
    let entries = part.iter().filter(|(key, _)| fits(key));
    entries.filter_map(|(key, value)| Some((key.clone(), weakened_value(value, fits)?))).collect()
}

fn weakened_value(value: &Value, fits: impl Fn(&str) -> bool + Copy) -> Option<Value> {
    match value {
        Value::Number(_) => None,
        Value::String(text) => fits(text).then(|| value.clone()),
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(|item| weakened_value(item, fits)).collect())),
        Value::Object(entries) => Some(Value::Object(weakened(entries))),
        Value::Null | Value::Bool(_) => Some(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> JsonMap {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_equal_is_searched_alike() {
        let of = |value: Value| searchable(&map(json!({ "k": value }))).unwrap();
        assert_eq!(of(json!(9_007_199_254_740_993_i64)), of(json!(9_007_199_254_740_992.0)));
        assert_eq!(of(json!(u64::MAX)), of(json!(u64::MAX as f64)));
        assert_eq!(of(json!(12)), r#"{"k":12}"#);
        assert_ne!(of(json!("\0")), of(json!("\u{f8ff}0")));
        assert!(!of(json!({"a\0b": ["\0"]})).contains("\\u0000"));
    }

    #[test]
    fn what_cannot_be_asked_of_text_is_left_out() {
        let part = map(json!({"a": 1, "b": "x", "c": [1, "y", {"d": 2.5, "e": null}], "f\u{0}": "z", "g": "\u{0}"}));
        assert_eq!(Value::Object(weakened(&part)), json!({"b": "x", "c": ["y", {"e": null}]}));
    }
}
