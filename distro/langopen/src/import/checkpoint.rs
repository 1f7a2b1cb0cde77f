//! Converts a checkpoint from the form of langgraph's `PostgresSaver` to the form that graph hosts read.
//!
//! The saver stores a checkpoint as a JSON document. Plain values are in the document, and all others are in blobs. A
//! host expects the document in its serialiser's bytes, and every value in a blob. The import copies the bytes of blobs
//! unchanged: it never unpickles anything.

use std::fmt;

use bytes::Bytes;
use langopen_core::JsonMap;
use langopen_core::model::Blob;
use serde_json::Value;

/// The encodings that graph hosts read.
pub(super) const READABLE: [&str; 6] = ["null", "bytes", "bytearray", "json", "msgpack", "empty"];

/// The channel of pending sends, which become tasks in the next step.
const TASKS: &str = "__pregel_tasks";

/// The first version of the document whose values include the pending sends of the parent checkpoint.
const SENDS_INSIDE: i64 = 4;

/// The version that langgraph assigns to a channel's first value.
const FIRST_VERSION: &str = "00000000000000000000000000000001.0000000000000000";

/// Why a checkpoint cannot be imported.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged(pub(super) String);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A checkpoint's document.
#[derive(Debug)]
pub(super) struct Document {
    /// The document without its values.
    fields: JsonMap,
    /// The plain values, by channel.
    inline: JsonMap,
    /// The version of each channel, as text.
    versions: Vec<(String, String)>,
}

impl Document {
    pub(super) fn read(text: &str) -> Result<Self, Damaged> {
        let mut fields: JsonMap = serde_json::from_str(text)
            .map_err(|error| Damaged(format!("its document is not a JSON object: {error}")))?;
        let inline = match fields.shift_remove("channel_values") {
            Some(Value::Object(values)) => values,
            _ => JsonMap::new(),
        };
        let versions = match fields.get("channel_versions") {
            Some(Value::Object(versions)) => {
                versions.iter().map(|(channel, version)| Ok((channel.clone(), text_of(version)?))).collect()
            }
            _ => Err(Damaged("its document has no channel_versions".to_owned())),
        };
        Ok(Self { inline, versions: versions?, fields })
    }

    /// The version of each channel.
    pub(super) fn versions(&self) -> &[(String, String)] {
        &self.versions
    }

    /// Whether the document needs the pending sends of its parent checkpoint.
    pub(super) fn lacks_sends(&self) -> bool {
        self.fields.get("v").and_then(Value::as_i64).is_none_or(|version| version < SENDS_INSIDE)
    }

    /// Adds the pending sends of the parent checkpoint, each in its own encoding. Returns the blob that holds them.
    pub(super) fn take_sends(&mut self, sends: &[(String, Vec<u8>)]) -> Result<Blob, Damaged> {
        let (kind, bytes) = list(sends)?;
        let newest = self.fields.get("channel_versions").and_then(Value::as_object);
        let newest = newest.and_then(|versions| versions.values().max_by(|a, b| order(a, b)).cloned());
        let version = newest.unwrap_or_else(|| Value::from(FIRST_VERSION));
        let text = text_of(&version)?;
        if let Some(Value::Object(versions)) = self.fields.get_mut("channel_versions") {
            versions.insert(TASKS.to_owned(), version);
        }
        self.versions.retain(|(channel, _)| channel != TASKS);
        self.versions.push((TASKS.to_owned(), text.clone()));
        Ok(Blob { channel: TASKS.to_owned(), version: text, kind, bytes })
    }

    /// The plain values of the `wanted` channels as blobs, except for values that `held` already contains.
    pub(super) fn inline_blobs(&self, wanted: &[(String, String)], held: &[Blob]) -> Result<Vec<Blob>, Damaged> {
        let lacking = wanted.iter().filter(|(channel, _)| held.iter().all(|blob| blob.channel != *channel));
        lacking
            .filter_map(|(channel, version)| Some((channel, version, self.inline.get(channel)?)))
            .map(|(channel, version, value)| {
                let (kind, bytes) = match value {
                    Value::Null => ("null", Bytes::new()),
                    value => ("msgpack", encode(value)?),
                };
                let (channel, version, kind) = (channel.clone(), version.clone(), kind.to_owned());
                Ok(Blob { channel, version, kind, bytes })
            })
            .collect()
    }

    /// The encoding and the bytes of the document, without its values.
    pub(super) fn encoded(&self) -> Result<(String, Bytes), Damaged> {
        Ok(("msgpack".to_owned(), encode(&self.fields)?))
    }
}

fn encode(value: &impl serde::Serialize) -> Result<Bytes, Damaged> {
    let bytes = rmp_serde::to_vec_named(value);
    bytes.map(Bytes::from).map_err(|error| Damaged(format!("a value has no MessagePack form: {error}")))
}

/// The text of a version, as a database column stores it.
fn text_of(version: &Value) -> Result<String, Damaged> {
    match version {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Damaged("a channel's version is neither a text nor a number".to_owned())),
    }
}

/// Compares two versions. Within one checkpoint, all versions are texts or all are numbers.
fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        _ => a.as_str().cmp(&b.as_str()),
    }
}

/// Combines encoded values into one encoded list. Both encodings nest, so no value has to be decoded.
fn list(values: &[(String, Vec<u8>)]) -> Result<(String, Bytes), Damaged> {
    let all = |kind: &str| values.iter().all(|(known, _)| known == kind);
    if all("json") {
        let inside: Vec<&[u8]> = values.iter().map(|(_, bytes)| &bytes[..]).collect();
        return Ok(("json".to_owned(), [&b"["[..], &inside.join(&b","[..]), &b"]"[..]].concat().into()));
    }
    if !all("msgpack") {
        return Err(Damaged("its pending sends are in encodings that graph hosts cannot read together".to_owned()));
    }
    let mut bytes = Vec::new();
    let length = u32::try_from(values.len()).map_err(|_| Damaged("it has too many pending sends".to_owned()))?;
    rmp::encode::write_array_len(&mut bytes, length).map_err(|error| Damaged(error.to_string()))?;
    values.iter().for_each(|(_, value)| bytes.extend_from_slice(value));
    Ok(("msgpack".to_owned(), bytes.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoded(bytes: &[u8]) -> Value {
        rmp_serde::from_slice(bytes).unwrap()
    }

    #[test]
    fn plain_values_become_blobs() {
        let text = json!({
            "v": 4, "id": "1f0", "ts": "t", "versions_seen": {"a": {"x": "1.0"}},
            "channel_versions": {"x": "1.0", "y": "2.0", "n": "1.0", "in_blob": "3.0", "old": "0.5"},
            "channel_values": {"x": 5, "y": "why", "n": null, "in_blob": true, "old": 1.5},
        });
        let document = Document::read(&text.to_string()).unwrap();
        assert!(!document.lacks_sends());
        let wanted: Vec<_> = document.versions().iter().filter(|(channel, _)| channel != "old").cloned().collect();
        let held = Blob {
            channel: "in_blob".to_owned(),
            version: "3.0".to_owned(),
            kind: "msgpack".to_owned(),
            bytes: Bytes::new(),
        };
        let blobs = document.inline_blobs(&wanted, &[held]).unwrap();
        let mut shown: Vec<_> = blobs
            .iter()
            .map(|blob| (blob.channel.as_str(), blob.version.as_str(), blob.kind.as_str(), &blob.bytes[..]))
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                ("n", "1.0", "null", &b""[..]),
                ("x", "1.0", "msgpack", &[5][..]),
                ("y", "2.0", "msgpack", &b"\xa3why"[..])
            ]
        );
        let (kind, bytes) = document.encoded().unwrap();
        let mut expected = text;
        expected.as_object_mut().unwrap().remove("channel_values");
        assert_eq!((kind.as_str(), decoded(&bytes)), ("msgpack", expected));
    }

    #[test]
    fn sends_of_the_parent_become_a_value() {
        let text = r#"{"v": 1, "id": "a", "channel_versions": {"x": "2.0", "y": "10.0", "__start__": "1.0"}}"#;
        let mut document = Document::read(text).unwrap();
        assert!(document.lacks_sends());
        let send = |value: &str| ("msgpack".to_owned(), rmp_serde::to_vec(value).unwrap());
        let blob = document.take_sends(&[send("one"), send("two")]).unwrap();
        assert_eq!((blob.channel.as_str(), blob.version.as_str(), blob.kind.as_str()), (TASKS, "2.0", "msgpack"));
        assert_eq!(decoded(&blob.bytes), json!(["one", "two"]));
        assert!(document.versions().contains(&(TASKS.to_owned(), "2.0".to_owned())));
        assert_eq!(decoded(&document.encoded().unwrap().1)["channel_versions"][TASKS], "2.0");
        let many: Vec<_> = (0..20).map(|number| send(&number.to_string())).collect();
        assert_eq!(decoded(&document.take_sends(&many).unwrap().bytes).as_array().map(Vec::len), Some(20));

        let mut counted = Document::read(r#"{"v": 2, "channel_versions": {"x": 9, "y": 10}}"#).unwrap();
        let json = |text: &str| ("json".to_owned(), text.as_bytes().to_vec());
        let blob = counted.take_sends(&[json(r#"{"a": 1}"#), json("2")]).unwrap();
        assert_eq!(
            (blob.version.as_str(), blob.kind.as_str(), &blob.bytes[..]),
            ("10", "json", &br#"[{"a": 1},2]"#[..])
        );
        assert_eq!(decoded(&counted.encoded().unwrap().1)["channel_versions"][TASKS], 10);
        assert!(counted.take_sends(&[json("1"), send("x")]).is_err());
        let mut empty = Document::read(r#"{"channel_versions": {}}"#).unwrap();
        assert_eq!(empty.take_sends(&[send("x")]).unwrap().version, FIRST_VERSION);
    }

    #[test]
    fn other_documents_are_refused() {
        for text in ["", "[]", "{}", r#"{"channel_versions": 5}"#, r#"{"channel_versions": {"x": []}}"#] {
            assert!(Document::read(text).is_err(), "{text}");
        }
    }
}
