//! Conditions on JSON documents, as SQL decides them: containment and the filters of authorization.
//!
//! What is added to a query always holds for the rows that [`contains_all`](langopen_core::filter::contains_all) and [`MetadataFilter::matches`] let through.
//! Where SQL cannot tell exactly (fractions, whole arrays and objects for equality, what is larger than any client sends), the answer is `false`: the
//! caller then asks those about each row too. Keys and values are parameters, never a part of the text.

use langopen_core::filter::MetadataFilter;
use serde_json::{Map, Number, Value};
use sqlx::{Encode, QueryBuilder, Sqlite, Type};

/// How many conditions SQL is given: its statements have bounds, and clients may send any document.
const MOST: usize = 100;

/// How deep conditions nest.
const DEEPEST: usize = 8;

/// Up to here every integer is a fraction of its own, so that `1` equals `1.0` and no other.
const LARGEST: u64 = 1 << 53;

/// Adds that the document contains `part`.
#[must_use]
pub(super) fn push_contains(sql: &mut QueryBuilder<Sqlite>, document: &str, part: &Map<String, Value>) -> bool {
    let mut conditions = Conditions::new(sql);
    conditions.entries(document, part, DEEPEST);
    conditions.decided
}

/// Adds that the document passes the filter.
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
    /// How many there are; it names the tables that documents are taken apart into.
    number: usize,
    decided: bool,
}

impl<'q> Conditions<'q> {
    fn new(sql: &'q mut QueryBuilder<Sqlite>) -> Self {
        Self { sql, number: 0, decided: true }
    }

    /// Whether one more condition may be added; from then on SQL does not decide alone.
    fn has_room(&mut self, depth: usize) -> bool {
        let room = self.number < MOST && depth > 0;
        self.decided &= room;
        room
    }

    /// Opens a condition on one element of a document, and names the element.
    fn open(&mut self, document: &str) -> String {
        self.number += 1;
        let element = format!("e{}", self.number);
        self.sql.push(format_args!("EXISTS (SELECT 1 FROM json_each({document}) {element} WHERE "));
        element
    }

    /// As [`Conditions::open`], for the element under a key. Keys are compared as they read, not as they are written.
    fn open_entry(&mut self, document: &str, key: &str) -> String {
        let element = self.open(document);
        self.sql.push(format_args!("{element}.key = ")).push_bind(key.to_owned()).push(" AND ");
        element
    }

    /// ` AND` for each entry of `part`, that the document's entry contains it.
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
            // The guard keeps what is no document from being read as one, whatever order conditions are looked at in.
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
                // The rest would each be true; one of them is enough for either way of joining.
                self.decided = false;
                self.sql.push(between).push("1");
                break;
            }
        }
        self.sql.push(")");
    }

    fn equals(&mut self, element: &str, wanted: &Value) {
        match wanted {
            // An integer and a fraction are never equal here, and no integer is near another one.
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

    /// That a number has this value: exactly for an integer of common size, else nearly, because readers of fractions differ in the last digit.
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

/// An element's items, if it is an array.
fn array(element: &str) -> String {
    format!("iif({element}.type = 'array', {element}.value, '[]')")
}
