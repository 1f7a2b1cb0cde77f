//! Server-sent events, framed as clients of the Agent Server expect: lines end with CRLF, in the order `event`, `data`,
//! `id`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use langopen_core::event_log::{Event, EventId, ReadFrom};
use std::fmt::Write;

use crate::http::error::{Failure, Result};

/// One event of a stream, as the OpenAPI document describes it.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ServerSentEvent {
    /// The kind of event.
    event: String,
    /// JSON text.
    data: String,
    /// The position after which a reader can resume the stream.
    #[schema(nullable = false)]
    id: Option<String>,
}

/// The comment that keeps a silent stream alive.
pub(crate) const HEARTBEAT: Bytes = Bytes::from_static(b": heartbeat\r\n\r\n");

/// The position from which a reader wants events. Without `Last-Event-ID`, only new events; otherwise, the events after
/// that id. `-`, `0` and `-1` are the beginning.
///
/// # Errors
/// 422 for an invalid id. An id is a number, optionally with `-` and a number or `*`.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<ReadFrom> {
    // A value that is not text is an invalid id.
    let Some(id) = headers.get("last-event-id").map(|id| id.to_str().map_or("?", str::trim)) else {
        return Ok(ReadFrom::Now);
    };
    match id {
        "" => return Ok(ReadFrom::Now),
        "-" | "-1" => return Ok(ReadFrom::After(EventId::ZERO)),
        _ => {}
    }
    let (millis, sequence) = id.split_once('-').unwrap_or((id, "*"));
    let number = |digits: &str| match digits {
        _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    let id = match (number(millis), sequence) {
        (Some(millis), "*") => Some(EventId { millis, sequence: 0 }),
        (Some(millis), sequence) => number(sequence).map(|sequence| EventId { millis, sequence }),
        (None, _) => None,
    };
    let refused = || Failure::invalid("Invalid last-event-id: must be a valid Redis stream ID");
    id.map(ReadFrom::After).ok_or_else(refused)
}

/// The size from which an event's data is a separate piece, which readers share. Smaller data is copied into the piece
/// around it.
const OWN_PIECE: usize = 4 * 1024;

/// The frames of `events` as consecutive pieces, none of them empty. With `ids`, each frame has its event's id, so that
/// a reader can resume after it.
pub(crate) fn frames<'a>(events: impl IntoIterator<Item = &'a Event>, ids: bool) -> Vec<Bytes> {
    let (mut pieces, mut out) = (Vec::new(), BytesMut::new());
    for event in events {
        out.reserve(event.name.len() + event.data.len().min(OWN_PIECE) + 64);
        out.put_slice(b"event: ");
        // A line break in a name would begin a new line of the frame.
        event.name.split(['\r', '\n']).for_each(|part| out.put_slice(part.as_bytes()));
        out.put_slice(b"\r\ndata: ");
        if event.data.len() < OWN_PIECE {
            out.put_slice(&event.data);
        } else {
            pieces.extend([out.split().freeze(), event.data.clone()]);
        }
        if ids {
            out.put_slice(b"\r\nid: ");
            // A write to memory does not fail.
            let _ = write!(out, "{}", event.id);
        }
        out.put_slice(b"\r\n\r\n");
    }
    if !out.is_empty() {
        pieces.push(out.freeze());
    }
    pieces
}

/// One frame without an id. Name and data must have no line breaks.
pub(crate) fn frame(name: &[u8], data: &[u8]) -> Bytes {
    [b"event: ", name, b"\r\ndata: ", data, b"\r\n\r\n"].concat().into()
}

/// One frame, as from [`frame`], with an id after which a reader can resume.
pub(crate) fn frame_at(name: &[u8], data: &[u8], id: &impl std::fmt::Display) -> Bytes {
    let mut out = BytesMut::from(frame(name, data).as_ref());
    out.truncate(out.len() - 2);
    // A write to memory does not fail.
    let _ = write!(out, "id: {id}\r\n\r\n");
    out.freeze()
}

/// A response that streams `body`.
pub(crate) fn response(body: Body, locations: HeaderMap) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.extend(locations);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response
}

/// The `Location` and `Content-Location` headers, if given.
pub(crate) fn locations(location: Option<String>, content_location: Option<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [(header::LOCATION, location), (header::CONTENT_LOCATION, content_location)] {
        // The server's paths consist of UUIDs, so they are always valid header values.
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_an_id_or_a_sign_for_the_beginning() {
        let position = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", HeaderValue::from_static(text));
            last_event_id(&headers).ok()
        };
        let after = |millis, sequence| Some(ReadFrom::After(EventId { millis, sequence }));
        assert_eq!(last_event_id(&HeaderMap::new()).ok(), Some(ReadFrom::Now));
        assert_eq!(position(" "), Some(ReadFrom::Now));
        for text in ["-", "-1", "0", "0-0", "0-*"] {
            assert_eq!(position(text), after(0, 0), "{text}");
        }
        for (text, millis, sequence) in [("17", 17, 0), ("17-*", 17, 0), ("17-2", 17, 2)] {
            assert_eq!(position(text), after(millis, sequence), "{text}");
        }
        for text in ["abc", "--", "1-", "-2", "1-2-3", "+1", "1-+2", "*", "1.5", "$", "99999999999999999999-1"] {
            assert_eq!(position(text), None, "{text}");
        }
    }

    #[test]
    fn a_frame_has_its_lines_in_order() {
        let event = Event {
            id: EventId { millis: 17, sequence: 2 },
            run_id: None,
            name: "val\r\nues|sub:1".into(),
            data: Bytes::from_static(b"{\"a\":1}"),
        };
        assert_eq!(frames([&event], true), ["event: values|sub:1\r\ndata: {\"a\":1}\r\nid: 17-2\r\n\r\n"]);
        assert_eq!(frames([&event], false), ["event: values|sub:1\r\ndata: {\"a\":1}\r\n\r\n"]);
        assert!(frames([], true).is_empty());
    }

    #[test]
    fn the_data_of_a_large_event_is_not_copied() {
        let data = Bytes::from(vec![b'1'; OWN_PIECE]);
        let large = Event { id: EventId::ZERO, run_id: None, name: "values".into(), data: data.clone() };
        let small = Event { data: Bytes::from_static(b"2"), ..large.clone() };
        let pieces = frames([&small, &large, &small], true);
        assert_eq!((pieces.len(), pieces[1].as_ptr()), (3, data.as_ptr()));
        let end = "\r\nid: 0-0\r\n\r\n";
        let begin = "event: values\r\ndata: ";
        assert_eq!(pieces[0], format!("{begin}2{end}{begin}"));
        assert_eq!(pieces[2], format!("{end}{begin}2{end}"));
    }
}
