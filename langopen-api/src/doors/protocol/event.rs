//! The protocol's events.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Values,
    Updates,
    Messages,
    Tools,
    Custom,
    Lifecycle,
    Checkpoints,
    Tasks,
    InputRequested,
    InputAnswered,
}

impl Method {
    const ALL: [Self; 10] = [
        Self::Values,
        Self::Updates,
        Self::Messages,
        Self::Tools,
        Self::Custom,
        Self::Lifecycle,
        Self::Checkpoints,
        Self::Tasks,
        Self::InputRequested,
        Self::InputAnswered,
    ];

    /// Its name on the wire.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Updates => "updates",
            Self::Messages => "messages",
            Self::Tools => "tools",
            Self::Custom => "custom",
            Self::Lifecycle => "lifecycle",
            Self::Checkpoints => "checkpoints",
            Self::Tasks => "tasks",
            Self::InputRequested => "input.requested",
            Self::InputAnswered => "input.answered",
        }
    }

    /// Reads [`Method::as_str`].
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// The path from the root graph to a subgraph, with one step `node:<task>` per level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Namespace(pub(super) Vec<String>);

impl Namespace {
    /// Splits the name of an event in the log, e.g. `values|sub:<task>`, into its base and its namespace.
    pub(super) fn split(name: &str) -> (&str, Self) {
        match name.split_once('|') {
            None => (name, Self::default()),
            Some((base, rest)) => (base, Self(rest.split('|').map(str::to_owned).collect())),
        }
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and task of its last step.
    pub(super) fn last(&self) -> Option<(&str, &str)> {
        self.0.last().map(|step| step.split_once(':').unwrap_or((step, "")))
    }

    pub(super) fn joined(&self) -> String {
        self.0.join("|")
    }
}

/// An event for clients.
#[derive(Debug, Clone)]
pub(super) struct ProtocolEvent {
    /// Unique within the thread.
    pub(super) id: String,
    /// Its number within the thread.
    pub(super) seq: u64,
    pub(super) method: Method,
    pub(super) namespace: Namespace,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp: u64,
    /// The name of a custom event.
    pub(super) name: Option<String>,
    pub(super) body: Body,
}

/// The content of `params` beside namespace and timestamp, as JSON text.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// The value of `data`.
    Data(Bytes),
    /// An object with `data` and further members.
    Members(Bytes),
}

impl Body {
    pub(super) fn of(data: &impl Serialize) -> Self {
        // Lists, and maps with string keys, always have a JSON form.
        Self::Data(serde_json::to_vec(data).unwrap_or_default().into())
    }

    /// `members` is an object with `data` and further members.
    pub(super) fn members(members: &impl Serialize) -> Self {
        Self::Members(serde_json::to_vec(members).unwrap_or_default().into())
    }
}

impl ProtocolEvent {
    /// Appends its JSON text.
    pub(super) fn write(&self, out: &mut BytesMut) {
        let size = match &self.body {
            Body::Data(data) | Body::Members(data) => data.len(),
        };
        out.reserve(size + 256);
        out.put_slice(br#"{"type":"event","event_id":"#);
        write_json(out, &self.id);
        out.put_slice(br#","seq":"#);
        write_json(out, &self.seq);
        out.put_slice(br#","method":""#);
        out.put_slice(self.method.as_str().as_bytes());
        out.put_slice(br#"","params":{"namespace":"#);
        write_json(out, &self.namespace.0);
        out.put_slice(br#","timestamp":"#);
        write_json(out, &self.timestamp);
        match &self.body {
            Body::Data(data) => {
                out.put_slice(br#","data":"#);
                out.put_slice(data);
            }
            Body::Members(members) => {
                out.put_u8(b',');
                out.put_slice(members.get(1..members.len().saturating_sub(1)).unwrap_or_default());
            }
        }
        out.put_slice(b"}}");
    }

    /// Appends the event as a server-sent event.
    pub(super) fn write_frame(&self, out: &mut BytesMut) {
        out.put_slice(b"event: ");
        out.put_slice(self.method.as_str().as_bytes());
        out.put_slice(b"\r\ndata: ");
        self.write(out);
        out.put_slice(b"\r\nid: ");
        write_json(out, &self.seq);
        out.put_slice(b"\r\n\r\n");
    }
}

/// Appends JSON text. Writing strings and numbers into memory does not fail.
fn write_json(out: &mut BytesMut, value: &impl Serialize) {
    let _ = serde_json::to_writer(out.writer(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_members_in_order() {
        let event = |body| ProtocolEvent {
            id: "17-0".to_owned(),
            seq: 3,
            method: Method::Messages,
            namespace: Namespace(vec!["a\"b:1".to_owned()]),
            timestamp: 17,
            name: None,
            body,
        };
        let mut out = BytesMut::new();
        event(Body::Data("[1]".into())).write_frame(&mut out);
        let head = r#"{"type":"event","event_id":"17-0","seq":3,"method":"messages","params":{"namespace":["a\"b:1"],"timestamp":17,"#;
        assert_eq!(out, format!("event: messages\r\ndata: {head}\"data\":[1]}}}}\r\nid: 3\r\n\r\n"));
        let mut out = BytesMut::new();
        event(Body::Members(r#"{"data":1,"node":"n"}"#.into())).write(&mut out);
        assert_eq!(out, format!("{head}\"data\":1,\"node\":\"n\"}}}}"));
    }

    #[test]
    fn names_have_a_base_and_a_namespace() {
        assert_eq!(Namespace::split("values"), ("values", Namespace::default()));
        let steps = Namespace(vec!["a:1".to_owned(), "b:2".to_owned()]);
        assert_eq!(Namespace::split("custom|a:1|b:2"), ("custom", steps.clone()));
        assert_eq!(steps.last(), Some(("b", "2")));
    }
}
