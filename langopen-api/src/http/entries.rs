//! JSON objects whose keys are parsed while their values stay text.

use std::borrow::Cow;
use std::fmt;

use langopen_core::RawJson;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The entries of a JSON object, in their order.
#[derive(Default)]
pub(crate) struct Entries<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Entries<'a> {
    /// Removes the entry with `key`, and returns its value.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(held, _)| held == key)?;
        Some(self.0.remove(at).1)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    entries.push((Cow::Owned(key), map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A row as JSON with only the keys in `select`; with all keys if `select` is empty.
pub(crate) fn selected(row: &impl Serialize, select: &[String]) -> serde_json::Result<RawJson> {
    let whole = RawJson::of(row)?;
    if select.is_empty() {
        return Ok(whole);
    }
    let mut entries: Entries<'_> = whole.decode()?;
    entries.0.retain(|(key, _)| select.iter().any(|name| name == key));
    RawJson::of(&entries)
}

/// `{` + `first` + the entries of `rest`, as text. The parts of `first` together are `"key":value`.
pub(crate) fn concat_objects(first: &[&str], rest: &str) -> String {
    let rest = rest.trim_start().strip_prefix('{').unwrap_or("}").trim_start();
    let mut text = String::with_capacity(first.iter().map(|part| part.len()).sum::<usize>() + rest.len() + 2);
    text.push('{');
    first.iter().for_each(|part| text.push_str(part));
    if !rest.starts_with('}') {
        text.push(',');
    }
    text.push_str(rest);
    text
}
