//! Writes a JSON Schema as one short line per field, so that two documents can be compared and a difference is
//! readable.
//!
//! A line is `string`, `uuid`, `date-time`, `a|b` (an enum), `[T]` (an array), `object of T`, `A or B`, `any`, or the
//! name of a schema. A `?` at the end means that null is allowed. Bounds and the default follow, and ` *` for a
//! required field. A field within a field is `outer.inner`, within an array's items `outer[].inner`, and within a map's
//! values `outer{}.inner`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(super) type Fields = BTreeMap<String, String>;

/// A document, and the schemas that lines refer to by name. Lines write out other schemas where these are used.
pub(super) struct Document<'a> {
    pub(super) json: &'a Value,
    pub(super) named: &'a dyn Fn(&str) -> bool,
}

impl Document<'_> {
    pub(super) fn fields(&self, name: &str) -> Fields {
        let mut fields = Fields::new();
        self.collect(&self.json["components"]["schemas"][name], "", &mut fields);
        fields
    }

    /// The line of a parameter, a body or an answer.
    pub(super) fn line(&self, schema: &Value, required: bool) -> String {
        let mut line = self.kind(schema);
        let inner = self.unwrap(schema);
        let get = |key: &str| schema.get(key).or_else(|| inner.get(key));
        for (key, name) in [
            ("minimum", "min"),
            ("maximum", "max"),
            ("minLength", "minLength"),
            ("maxLength", "maxLength"),
            ("minItems", "minItems"),
        ] {
            if let Some(bound) = get(key) {
                line += &format!(" {name}={bound}");
            }
        }
        if let Some(default) = get("default").filter(|default| !default.is_null()) {
            line += &format!(" default={default}");
        }
        line + if required { " *" } else { "" }
    }

    fn collect(&self, schema: &Value, prefix: &str, fields: &mut Fields) {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{prefix}{name}");
            match self.inside(field) {
                Some((inner, step)) => self.collect(inner, &format!("{path}{step}."), fields),
                None => {
                    fields.insert(path, self.line(field, required.contains(&name.as_str())));
                }
            }
        }
    }

    /// The object within a field, if the notation writes it out here, and the suffix of its path.
    fn inside<'a>(&'a self, field: &'a Value) -> Option<(&'a Value, &'static str)> {
        let field = self.unwrap(field);
        let object = |schema: &'a Value| {
            let schema = self.unwrap(schema);
            (schema.get("properties").is_some() && self.name(schema).is_none()).then_some(schema)
        };
        let steps = [(Some(field), ""), (field.get("items"), "[]"), (field.get("additionalProperties"), "{}")];
        steps.into_iter().find_map(|(schema, step)| Some((object(schema?)?, step)))
    }

    /// Resolves a choice between a schema and null, and references to unnamed schemas.
    fn unwrap<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let choices: Vec<_> = alternatives(schema).filter(|each| each["type"] != "null").collect();
        match (&choices[..], schema["$ref"].as_str()) {
            ([only], _) => self.unwrap(only),
            (_, Some(_)) if self.name(schema).is_none() => self.unwrap(self.resolve(schema)),
            _ => schema,
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')).unwrap_or_default();
        self.json.pointer(pointer).unwrap_or(&Value::Null)
    }

    fn name<'a>(&self, schema: &'a Value) -> Option<&'a str> {
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        (self.named)(name).then_some(name)
    }

    fn kind(&self, schema: &Value) -> String {
        let mut kinds = BTreeSet::new();
        self.kinds(schema, &mut kinds);
        let null = kinds.remove("null");
        if kinds.contains("any") || kinds.is_empty() {
            return "any".to_owned();
        }
        kinds.into_iter().collect::<Vec<_>>().join(" or ") + if null { "?" } else { "" }
    }

    fn kinds(&self, schema: &Value, kinds: &mut BTreeSet<String>) {
        if let Some(name) = self.name(schema) {
            kinds.insert(name.to_owned());
            return;
        }
        if schema.get("$ref").is_some() {
            return self.kinds(self.resolve(schema), kinds);
        }
        let mut choices = alternatives(schema).peekable();
        if choices.peek().is_some() {
            return choices.for_each(|each| self.kinds(each, kinds));
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            Value::String(one) => vec![one.as_str()],
            _ => vec!["any"],
        };
        kinds.extend(types.into_iter().map(|kind| self.one(kind, schema)));
    }

    fn one(&self, kind: &str, schema: &Value) -> String {
        let format = schema["format"].as_str().unwrap_or_default();
        match (kind, schema["enum"].as_array()) {
            ("null", _) => "null".to_owned(),
            (_, Some(values)) => {
                let mut values: Vec<_> =
                    values.iter().map(|value| value.as_str().map_or(value.to_string(), str::to_owned)).collect();
                values.sort();
                values.join("|")
            }
            ("string", _) if ["uuid", "date-time"].contains(&format) => format.to_owned(),
            ("array", _) => format!("[{}]", self.kind(&schema["items"])),
            ("object", _) if schema["additionalProperties"].is_object() => {
                format!("object of {}", self.kind(&schema["additionalProperties"]))
            }
            _ => kind.to_owned(),
        }
    }
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten()
}
