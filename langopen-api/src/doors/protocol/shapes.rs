//! Converts events of the log to the protocol's shapes.

use std::borrow::Cow;

use bytes::Bytes;
use langopen_core::RawJson;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::event::Body;
use crate::agent::wire::Entries;

/// The key of interrupts in values and updates.
const INTERRUPT: &str = "__interrupt__";

/// An interrupt of a graph, which a client answers.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Interrupt {
    pub(super) id: String,
    #[serde(default)]
    pub(super) value: RawJson,
}

fn has_interrupts(data: &[u8]) -> bool {
    memmem::find(data, b"\"__interrupt__\"").is_some()
}

fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Option<T> {
    serde_json::from_slice(data).ok()
}

fn interrupts(raw: &RawValue) -> Vec<Interrupt> {
    let each: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    // A client cannot answer an interrupt without an id.
    each.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
}

/// Splits values into the state and its interrupts. There is no state if the values hold interrupts alone.
pub(super) fn values(data: Bytes) -> (Option<Body>, Vec<Interrupt>) {
    if !has_interrupts(&data) {
        return (Some(Body::Data(data)), Vec::new());
    }
    let Some(mut entries) = read::<Entries<'_>>(&data) else { return (Some(Body::Data(data)), Vec::new()) };
    let Some(raised) = entries.take(INTERRUPT).map(interrupts) else {
        return (Some(Body::Data(data.clone())), Vec::new());
    };
    let rest = (!entries.0.is_empty()).then(|| Body::of(&entries));
    (rest, raised)
}

/// Splits `{node: delta}` into one `{node, values}` per node, and the interrupts.
pub(super) fn updates(data: &[u8]) -> (Vec<Body>, Vec<Interrupt>) {
    #[derive(Serialize)]
    struct Update<'a> {
        node: &'a str,
        values: &'a RawValue,
    }
    let Some(mut entries) = read::<Entries<'_>>(data) else { return Default::default() };
    let raised = entries.take(INTERRUPT).map(interrupts).unwrap_or_default();
    let bodies = entries.0.iter().map(|(node, values)| Body::of(&Update { node, values })).collect();
    (bodies, raised)
}

/// The node names in `{node: delta}`.
pub(super) fn nodes(data: &[u8]) -> Vec<String> {
    let entries: Entries<'_> = read(data).unwrap_or_default();
    entries.0.iter().map(|(node, _)| node.to_string()).collect()
}

/// The name of a custom event, by which clients subscribe to it: the text under `name`, if the graph wrote an object
/// that has one.
pub(super) fn custom_name(data: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let may_have_name = data.first() == Some(&b'{') && memmem::find(data, b"\"name\"").is_some();
    let Named { name } = may_have_name.then(|| read(data)).flatten()?;
    (!name.is_empty()).then(|| name.into_owned())
}

/// A checkpoint without its values: `{id, parent_id, step, source}`.
pub(super) fn checkpoint(data: &[u8]) -> Option<Body> {
    #[derive(Deserialize)]
    struct Configurable<'a> {
        #[serde(borrow)]
        checkpoint_id: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Config<'a> {
        #[serde(borrow)]
        configurable: Configurable<'a>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Metadata<'a> {
        step: i64,
        #[serde(borrow)]
        source: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Checkpoint<'a> {
        #[serde(borrow)]
        config: Config<'a>,
        #[serde(borrow, default)]
        parent_config: Option<Config<'a>>,
        #[serde(borrow, default)]
        metadata: Metadata<'a>,
    }
    #[derive(Serialize)]
    struct Envelope<'a> {
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent_id: Option<&'a str>,
        step: i64,
        source: &'a str,
    }
    let checkpoint: Checkpoint<'_> = read(data)?;
    let parent = checkpoint.parent_config.as_ref();
    Some(Body::of(&Envelope {
        id: &checkpoint.config.configurable.checkpoint_id,
        parent_id: parent.map(|parent| &*parent.configurable.checkpoint_id),
        step: checkpoint.metadata.step,
        source: &checkpoint.metadata.source,
    }))
}

/// The data of `input.requested`.
pub(super) fn request(interrupt: &Interrupt) -> Body {
    #[derive(Serialize)]
    struct Request<'a> {
        interrupt_id: &'a str,
        payload: &'a RawJson,
    }
    Body::of(&Request { interrupt_id: &interrupt.id, payload: &interrupt.value })
}

/// `{message}` of an `error` event.
pub(super) fn message(data: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Failure {
        message: String,
    }
    read(data).map_or_else(|| "the run failed".to_owned(), |Failure { message }| message)
}

/// `{"data": {event, graph_name}}` of a lifecycle event.
pub(super) fn lifecycle(members: &[u8]) -> Option<(String, Option<String>)> {
    #[derive(Deserialize)]
    struct Data {
        event: String,
        graph_name: Option<String>,
    }
    #[derive(Deserialize)]
    struct Members {
        data: Data,
    }
    read(members).map(|Members { data }| (data.event, data.graph_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &Body) -> &str {
        let (Body::Data(data) | Body::Members(data)) = body;
        std::str::from_utf8(data).unwrap()
    }

    #[test]
    fn values_lose_their_interrupts() {
        let (body, raised) =
            values(Bytes::from_static(br#"{"a":1,"__interrupt__":[{"value":{"q":1},"id":"x"},{"value":2}]}"#));
        assert_eq!(text(&body.unwrap()), r#"{"a":1}"#);
        assert_eq!(raised.len(), 1);
        assert_eq!((raised[0].id.as_str(), raised[0].value.as_str()), ("x", r#"{"q":1}"#));
        assert!(values(Bytes::from_static(br#"{"__interrupt__":[]}"#)).0.is_none());
        let said = Bytes::from_static(br#"{"a":"\"__interrupt__\""}"#);
        assert_eq!(text(&values(said.clone()).0.unwrap()), said);
    }

    #[test]
    fn updates_name_their_node() {
        let (bodies, raised) = updates(br#"{"a":{"x":1},"b":null}"#);
        assert_eq!(
            bodies.iter().map(text).collect::<Vec<_>>(),
            [r#"{"node":"a","values":{"x":1}}"#, r#"{"node":"b","values":null}"#]
        );
        assert!(raised.is_empty());
        assert_eq!(updates(br#"{"__interrupt__":[{"id":"x","value":1}]}"#).1.len(), 1);
    }

    #[test]
    fn custom_events_may_have_names() {
        for data in [r#"{"name":"progress","payload":3}"#, r#"{"name":"progress"}"#] {
            assert_eq!(custom_name(data.as_bytes()).as_deref(), Some("progress"), "{data}");
        }
        for data in ["3", "\"name\"", r#"{"name":1,"payload":2}"#, r#"{"name":""}"#, r#"{"payload":{"name":"x"}}"#] {
            assert_eq!(custom_name(data.as_bytes()), None, "{data}");
        }
    }

    #[test]
    fn checkpoints_are_envelopes() {
        let data = br#"{"config":{"configurable":{"checkpoint_id":"b"}},"parent_config":{"configurable":{"checkpoint_id":"a"}},"values":{},"metadata":{"source":"loop","step":1}}"#;
        assert_eq!(text(&checkpoint(data).unwrap()), r#"{"id":"b","parent_id":"a","step":1,"source":"loop"}"#);
        let first = br#"{"config":{"configurable":{"checkpoint_id":"a"}},"parent_config":null,"metadata":{"source":"input","step":-1}}"#;
        assert_eq!(text(&checkpoint(first).unwrap()), r#"{"id":"a","step":-1,"source":"input"}"#);
    }
}
