use std::time::Duration;

use axum::body::Body;
use futures::StreamExt;
use langopen_core::event_log::NewEvent;
use langopen_core::{EventLog, RunId};
use serde_json::{Value, json};

use crate::harness::{NOWHERE, Server, log, server};

/// The frames of a stream as (event, data, id).
pub(crate) fn frames(text: &str) -> Vec<(String, Value, Option<String>)> {
    let frames = text.split("\r\n\r\n").filter(|frame| frame.starts_with("event: "));
    let frame = |frame: &str| {
        let mut lines = frame.split("\r\n");
        let event = lines.next().unwrap().strip_prefix("event: ").unwrap().to_owned();
        let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
        let id = lines.next().map(|line| line.strip_prefix("id: ").unwrap().to_owned());
        (event, serde_json::from_str(data).unwrap(), id)
    };
    frames.map(frame).collect()
}

fn names(text: &str) -> Vec<String> {
    frames(text).into_iter().map(|(name, ..)| name).collect()
}

#[tokio::test]
async fn a_stream_has_the_bytes_that_clients_expect() {
    let server = server().await;
    let thread = server.thread().await;
    let body = json!({"assistant_id": "slow", "input": {"ms": 150}, "stream_mode": ["values", "updates"]});
    let answer = server.post(&format!("/threads/{thread}/runs/stream"), body).await;
    let at = answer.header("content-location").to_owned();
    assert_eq!(answer.header("location"), format!("{at}/stream"));
    assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    let run_id = at.rsplit('/').next().unwrap();
    let alive = ": heartbeat\r\n\r\n";
    assert!(answer.text.contains(alive), "{}", answer.text);
    assert_eq!(
        answer.text.replace(alive, ""),
        format!(
            "event: metadata\r\ndata: {{\"run_id\":\"{run_id}\",\"attempt\":1}}\r\n\r\n\
         event: values\r\ndata: {{\"log\":[],\"ms\":150}}\r\n\r\n\
         event: updates\r\ndata: {{\"slow\":{{\"log\":[\"slow\"]}}}}\r\n\r\n\
         event: values\r\ndata: {{\"log\":[\"slow\"],\"ms\":150}}\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn failures_are_events() {
    let server = server().await;
    let answer = server.post("/runs/stream", json!({"assistant_id": "fail"})).await;
    let (name, data, _) = frames(&answer.text).pop().unwrap();
    assert_eq!((name.as_str(), data), ("error", json!({"error": "Error", "message": "boom"})));
    assert!(answer.header("content-location").starts_with("/runs/"));
    assert!(answer.header("location").starts_with("/threads/"));
}

/// Creates a resumable run, waits for its end, and returns its path and its stream.
async fn resumable(server: &Server) -> (String, String) {
    let thread = server.thread().await;
    let body = json!({"assistant_id": "echo", "input": {"log": []}, "stream_mode": ["values", "custom"], "stream_resumable": true});
    let answer = server.post(&format!("/threads/{thread}/runs/stream"), body).await;
    (answer.header("content-location").to_owned(), answer.text)
}

#[tokio::test]
async fn a_resumable_run_is_replayed_after_the_last_event_seen() {
    let server = server().await;
    let (at, live) = resumable(&server).await;
    let live = frames(&live);
    assert_eq!(live.len(), 4);
    let ids: Vec<_> = live.iter().map(|(_, _, id)| id.clone().unwrap()).collect();
    let path = format!("{at}/stream");
    let second = ids[1].clone();
    for (id, expected) in [("-", &live[..]), ("0", &live), ("-1", &live), (&second, &live[2..]), (&ids[3], &[])] {
        let answer = server.send("GET", &path, &[("last-event-id", id)], "").await;
        assert_eq!(frames(&answer.text), expected, "{id}");
    }
    assert_eq!(server.get(&path).await.text, "");
    for bad in ["x", "5-x", "99999999999999999999-0", "\u{e9}"] {
        let answer = server.send("GET", &path, &[("last-event-id", bad)], "").await;
        assert_eq!(frames(&answer.text), live, "{bad} is no id, so everything comes again");
    }
    let future = server.send("GET", &path, &[("last-event-id", "9999999999999-7")], "").await;
    assert_eq!(frames(&future.text), []);
}

#[tokio::test]
async fn the_stream_of_a_run_that_is_not_there_has_one_error() {
    let server = server().await;
    let thread = server.thread().await;
    for (thread, message) in [(thread.as_str(), "404: Run not found"), (NOWHERE, "404: Thread not found")] {
        let answer = server.get(&format!("/threads/{thread}/runs/{NOWHERE}/stream")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream; charset=utf-8"));
        let error = json!({"error": "HTTPException", "message": message});
        assert_eq!(frames(&answer.text), [("error".to_owned(), error, None)]);
    }
}

#[tokio::test]
async fn a_joined_stream_is_filtered_by_mode() {
    let server = server().await;
    let (at, _) = resumable(&server).await;
    for (query, expected) in [
        ("stream_mode=custom", &["custom"][..]),
        ("stream_mode=values&stream_mode=custom", &["values", "custom", "values"]),
        ("stream_mode=values,custom", &["values", "custom", "values"]),
        ("stream_mode=%5B%22values%22%5D", &["values", "values"]),
        ("", &["metadata", "values", "custom", "values"]),
    ] {
        let answer = server.send("GET", &format!("{at}/stream?{query}"), &[("last-event-id", "0")], "").await;
        assert_eq!(names(&answer.text), expected, "{query}");
    }
}

#[tokio::test]
async fn a_run_is_joined_while_it_runs() {
    let server = server().await;
    let thread = server.thread().await;
    let run = server.slow_run(&thread, 150).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = server.get(&format!("/threads/{thread}/runs/{run}/stream")).await;
    assert_eq!(names(&answer.text), ["values"]);
    assert_eq!(frames(&answer.text)[0].2, None);
}

#[tokio::test]
async fn a_run_dies_with_its_client_if_it_was_asked_to() {
    let server = server().await;
    for (wish, end, expected) in
        [("cancel", "stream", "interrupted"), ("cancel", "wait", "interrupted"), ("continue", "stream", "success")]
    {
        let thread = server.thread().await;
        let body = json!({"assistant_id": "slow", "input": {"ms": 300}, "on_disconnect": wish});
        let path = format!("/threads/{thread}/runs/{end}");
        let response = server.open("POST", &path, &[], Body::from(body.to_string())).await;
        let at = response.headers()["content-location"].to_str().unwrap().to_owned();
        let mut body = response.into_body().into_data_stream();
        body.next().await.unwrap().unwrap();
        drop(body);
        let run = server.get(&format!("{at}/join")).await;
        assert_eq!(run.status, 200);
        assert_eq!(server.get(&at).await.ok()["status"], expected, "{wish} {end}");
    }
    let thread = server.thread().await;
    let run = server.slow_run(&thread, 60_000).await;
    let at = format!("/threads/{thread}/runs/{run}");
    let response = server.open("GET", &format!("{at}/stream?cancel_on_disconnect=1"), &[], Body::empty()).await;
    drop(response);
    server.get(&format!("{at}/join")).await;
    let thread = server.get(&format!("/threads/{thread}")).await.ok();
    assert_eq!(thread["error"]["message"], "client disconnected from the run stream (on_disconnect=cancel)");
}

#[tokio::test]
async fn a_stream_whose_log_never_ends_ends_with_the_run() {
    let server = server().await;
    let thread = server.thread().await;
    let run = server.slow_run(&thread, 150).await;
    let at = format!("/threads/{thread}/runs/{run}");
    let streamed = tokio::spawn({
        let (server, at) = (server.clone(), at.clone());
        async move { server.get(&format!("{at}/stream")).await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    // Delete the row without an end event in the log.
    let scope = langopen_core::Scope::default();
    let run_id: RunId = run.parse().unwrap();
    langopen_core::storage::Runs::delete_run(&*server.memory, &scope, thread.parse().unwrap(), run_id).await.unwrap();
    streamed.await.unwrap();
}

#[tokio::test]
async fn many_events_arrive_in_order() {
    let server = server().await;
    let thread = server.thread().await;
    let run = server.slow_run(&thread, 60_000).await;
    let log = log(&thread, &run);
    let at = format!("/threads/{thread}/runs/{run}/stream");
    let response = server.open("GET", &at, &[], Body::empty()).await;
    for n in 0..500 {
        let event = NewEvent { name: "custom".into(), data: n.to_string().into() };
        server.events.append(log, 1, false, vec![event]).await.unwrap();
    }
    server.events.end(log).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let numbers: Vec<_> =
        frames(&text).into_iter().filter(|(name, ..)| name == "custom").map(|(_, data, _)| data).collect();
    assert_eq!(numbers, (0..500).map(Value::from).collect::<Vec<_>>());
}

/// A server whose readers poll only once a minute.
async fn patient() -> Server {
    let settings = crate::harness::quick().with_heartbeat(Duration::from_secs(60));
    crate::harness::server_with(|server| server.with_settings(settings)).await
}

#[tokio::test]
async fn deletion_ends_streams_at_once() {
    let server = patient().await;
    let assistant = server.post("/assistants", json!({"graph_id": "slow"})).await.ok()["assistant_id"].clone();
    let assistant = assistant.as_str().unwrap();
    for what in ["thread", "run", "assistant"] {
        let thread = server.thread().await;
        let body = json!({"assistant_id": assistant, "input": {"ms": 60_000}});
        let mut open = Vec::new();
        // One run executes, and another waits behind it.
        for end in ["stream", "wait"] {
            let path = format!("/threads/{thread}/runs/{end}");
            open.push(server.open("POST", &path, &[], Body::from(body.to_string())).await);
        }
        let runs: Vec<_> = open.iter().map(|answer| answer.headers()["content-location"].to_str().unwrap()).collect();
        let paths = match what {
            "thread" => vec![format!("/threads/{thread}")],
            "run" => vec![runs[1].to_owned(), runs[0].to_owned()],
            _ => vec![format!("/assistants/{assistant}?delete_threads=true")],
        };
        for path in paths {
            assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
        }
        for answer in open {
            let read = axum::body::to_bytes(answer.into_body(), usize::MAX);
            tokio::time::timeout(Duration::from_secs(5), read).await.expect(what).unwrap();
        }
    }
}

#[tokio::test]
async fn a_pending_run_dies_with_its_client_too() {
    let server = patient().await;
    let thread = server.thread().await;
    server.slow_run(&thread, 60_000).await;
    let path = format!("/threads/{thread}/runs");
    let body = json!({"assistant_id": "echo", "on_disconnect": "cancel"}).to_string();
    let response = server.open("POST", &format!("{path}/wait"), &[], Body::from(body)).await;
    let at = response.headers()["content-location"].to_str().unwrap().to_owned();
    drop(response);
    assert_eq!(server.get(&format!("{at}/join")).await.status, 200);
    assert_eq!(server.get(&at).await.ok()["status"], "interrupted");
}

#[tokio::test]
async fn a_stream_of_unwanted_events_is_not_silent() {
    let server = server().await;
    let thread = server.thread().await;
    let run = server.slow_run(&thread, 60_000).await;
    let log = log(&thread, &run);
    let path = format!("/threads/{thread}/runs/{run}/stream?stream_mode=updates");
    let response = server.open("GET", &path, &[], Body::empty()).await;
    let mut frames = response.into_body().into_data_stream();
    let events = server.events.clone();
    let talk = tokio::spawn(async move {
        loop {
            let event = NewEvent { name: "custom".into(), data: "1".into() };
            events.append(log, 1, false, vec![event]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let first =
        tokio::time::timeout(Duration::from_secs(5), frames.next()).await.expect("no heartbeat within 5 seconds");
    assert_eq!(first.unwrap().unwrap(), ": heartbeat\r\n\r\n");
    talk.abort();
}

#[tokio::test]
async fn a_stream_that_is_read_too_slowly_ends_with_an_error_instead_of_a_hole() {
    let server = server().await;
    let thread = server.thread().await;
    let body = json!({"assistant_id": "slow", "input": {"ms": 300}, "stream_mode": "values"});
    let path = format!("/threads/{thread}/runs/stream");
    let response = server.open("POST", &path, &[], body.to_string()).await;
    let log = log(&thread, response.headers()["content-location"].to_str().unwrap().rsplit('/').next().unwrap());
    // More bytes than a reader may leave unread.
    let data = bytes::Bytes::from(vec![b'1'; 1024 * 1024]);
    for _ in 0..40 {
        let event = NewEvent { name: "values".into(), data: data.clone() };
        server.events.append(log, 1, false, vec![event]).await.unwrap();
    }
    let text = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let end = String::from_utf8_lossy(&text[text.len() - 300..]).into_owned();
    assert!(end.contains("event: error\r\ndata: {\"error\":\"SlowReader\""), "{end}");
}
