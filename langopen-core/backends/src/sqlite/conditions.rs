//! SQL conditions on JSON documents: containment, and the filters of authorization.
//!
//! Every row that [`contains_all`](langopen_core::filter::contains_all) or [`MetadataFilter::matches`] accepts also
//! passes the SQL condition. The condition may pass more rows where SQL cannot decide exactly: fractions, equality of
//! arrays and objects, and very large documents. The function then returns `false`, and the caller must check each row
//! itself. Keys and values are always parameters, never part of the SQL text.

use langopen_core::filter::MetadataFilter;
use serde_json::{Map, Number, Value};
use sqlx::{Encode, QueryBuilder, Sqlite, Type};

/// The maximum number of SQL conditions. SQLite limits the size of a statement, and clients may send any document.
const MOST: usize = 100;

/// The maximum depth of nested conditions.
const DEEPEST: usize = 8;

/// Up to this number, every integer has an exact `f64`, so `1` equals `1.0` and no other number.
const LARGEST: u64 = 1 << 53;

/// Adds the condition that the document contains `part`.
#[must_use]
pub(super) fn push_contains(sql: &mut QueryBuilder<Sqlite>, document: &str, part: &Map<String, Value>) -> bool {
    let mut conditions = Conditions::new(sql);
    conditions.entries(document, part, DEEPEST);
    conditions.decided
}

/// Adds the condition that the document passes the filter.
#[must_use]
pub(super) fn push_filter(sql: &mut QueryBuilder<Sqlite>, document: &str, filter: Option<&MetadataFilter>) -> bool {
    let Some(filter) = filter else { return true };
    let mut conditions = Conditions::new(sql);
    conditions.sql.push(" AND ");
    conditions.filter(document, filter, DEEPEST);
    conditions.decided
}

struct Conditions<'q> {
    sql: &'q mut QueryBuilder<Sqlite>,
    /// The number of conditions so far. It makes the names of the `json_each` tables unique.
    number: usize,
    decided: bool,
}

impl<'q> Conditions<'q> {
    fn new(sql: &'q mut QueryBuilder<Sqlite>) -> Self {
        Self { sql, number: 0, decided: true }
    }

    /// Whether one more condition fits. If not, the caller must check each row itself.
    fn has_room(&mut self, depth: usize) -> bool {
        let room = self.number < MOST && depth > 0;
        self.decided &= room;
        room
    }

    /// Opens a condition on one element of a document, and returns the element's table name.
    fn open(&mut self, document: &str) -> String {
        self.number += 1;
        let element = format!("e{}", self.number);
        self.sql.push(format_args!("EXISTS (SELECT 1 FROM json_each({document}) {element} WHERE "));
        element
    }

    /// Like [`Conditions::open`], for the element under a key. SQL compares decoded keys, so escapes in the JSON text
    /// do not matter.
    fn open_entry(&mut self, document: &str, key: &str) -> String {
        let element = self.open(document);
        self.sql.push(format_args!("{element}.key = ")).push_bind(key.to_owned()).push(" AND ");
        element
    }

    /// For each entry of `part`, adds ` AND` and the condition that the document's entry contains it.
    fn entries(&mut self, document: &str, part: &Map<String, Value>, depth: usize) {
        for (key, wanted) in part {
            if !self.has_room(depth) {
                return;
            }
            self.sql.push(" AND ");
            let element = self.open_entry(document, key);
            self.contains(&element, wanted, depth);
            self.sql.push(")");
        }
    }

    fn contains(&mut self, element: &str, wanted: &Value, depth: usize) {
        self.is_of_type(element, wanted);
        match wanted {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) => self.is_atom(element, text.clone()),
            Value::Number(number) => self.is_near(element, number),
            Value::Array(items) => {
                for wanted in items {
                    if !self.has_room(depth) {
                        return;
                    }
                    self.sql.push(" AND ");
                    let item = self.open(&array(element));
                    self.contains(&item, wanted, depth - 1);
                    self.sql.push(")");
                }
            }
            // SQL may evaluate conditions in any order, so this guard ensures that only objects are read as objects.
            Value::Object(part) => {
                let object = format!("iif({element}.type = 'object', {element}.value, '{{}}')");
                self.entries(&object, part, depth - 1);
            }
        }
    }

    fn filter(&mut self, document: &str, filter: &MetadataFilter, depth: usize) {
        if !self.has_room(depth) {
            self.sql.push("1");
            return;
        }
        match filter {
            MetadataFilter::Equals(key, value) => {
                let element = self.open_entry(document, key);
                self.equals(&element, value);
                self.sql.push(")");
            }
            MetadataFilter::Contains(key, wanted) => {
                let element = self.open_entry(document, key);
                self.sql.push(format_args!("{element}.type = 'array'"));
                for wanted in wanted.as_array().map_or(std::slice::from_ref(wanted), Vec::as_slice) {
                    if !self.has_room(depth) {
                        break;
                    }
                    self.sql.push(" AND ");
                    let item = self.open(&array(&element));
                    self.equals(&item, wanted);
                    self.sql.push(")");
                }
                self.sql.push(")");
            }
            MetadataFilter::All(filters) => self.joined(document, filters, depth, "1", " AND "),
            MetadataFilter::Any(filters) => self.joined(document, filters, depth, "0", " OR "),
        }
    }

    fn joined(&mut self, document: &str, filters: &[MetadataFilter], depth: usize, none: &str, between: &str) {
        self.sql.push("(").push(none);
        for filter in filters {
            self.sql.push(between);
            self.filter(document, filter, depth - 1);
            if self.number >= MOST {
                // All remaining conditions would be true. One of them is enough for both AND and OR.
                self.decided = false;
                self.sql.push(between).push("1");
                break;
            }
        }
        self.sql.push(")");
    }

    fn equals(&mut self, element: &str, wanted: &Value) {
        match wanted {
            // For equality, an integer never equals a fraction, so an integer is compared exactly.
            Value::Number(number) => match number.as_i64() {
                Some(integer) => {
                    self.sql.push(format_args!("{element}.type = 'integer'"));
                    self.is_atom(element, integer);
                }
                None => {
                    self.is_of_type(element, wanted);
                    self.is_near(element, number);
                }
            },
            Value::String(text) => {
                self.is_of_type(element, wanted);
                self.is_atom(element, text.clone());
            }
            Value::Null | Value::Bool(_) => self.is_of_type(element, wanted),
            Value::Array(_) | Value::Object(_) => {
                self.decided = false;
                self.is_of_type(element, wanted);
            }
        }
    }

    fn is_of_type(&mut self, element: &str, wanted: &Value) {
        let types = match wanted {
            Value::Null => "('null')",
            Value::Bool(true) => "('true')",
            Value::Bool(false) => "('false')",
            Value::Number(_) => "('integer', 'real')",
            Value::String(_) => "('text')",
            Value::Array(_) => "('array')",
            Value::Object(_) => "('object')",
        };
        self.sql.push(format_args!("{element}.type IN {types}"));
    }

    fn is_atom<'t>(&mut self, element: &str, value: impl Encode<'t, Sqlite> + Type<Sqlite>) {
        self.sql.push(format_args!(" AND {element}.atom = ")).push_bind(value);
    }

    /// Adds the condition that a number has this value. The comparison is exact for integers up to [`LARGEST`]. Other
    /// numbers are compared approximately, because parsers of fractions differ in the last digit.
    fn is_near(&mut self, element: &str, number: &Number) {
        let wanted = number.as_f64().unwrap_or_default();
        let is_common = number.as_i64().is_some_and(|integer| integer.unsigned_abs() <= LARGEST);
        if is_common {
            self.sql.push(format_args!(" AND CAST({element}.atom AS REAL) = ")).push_bind(wanted);
        } else {
            self.decided = false;
            self.sql.push(format_args!(" AND abs(CAST({element}.atom AS REAL) - ")).push_bind(wanted);
            self.sql.push(") <= ").push_bind(wanted.abs() * 1e-9);
        }
    }
}

/// The items of an element if it is an array, else an empty array.
fn array(element: &str) -> String {
    format!("iif({element}.type = 'array', {element}.value, '[]')")
}
