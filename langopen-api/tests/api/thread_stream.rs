//! A thread's stream: the events of its runs, updates of its state, and its deletion.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use langopen_core::EventLog;
use langopen_core::event_log::NewEvent;
use serde_json::{Value, json};

use crate::harness::{NOWHERE, Server, log, server};
use crate::streams::frames;

/// An open stream of a thread.
struct Listener {
    body: BodyDataStream,
    text: String,
}

type Frame = (String, Value, Option<String>);

impl Listener {
    async fn open(server: &Server, thread: &str, query: &str, after: Option<&str>) -> Self {
        let path = format!("/threads/{thread}/stream{query}");
        let headers: Vec<_> = after.map(|id| ("last-event-id", id)).into_iter().collect();
        let response = server.open("GET", &path, &headers, Body::empty()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert!(!response.headers().contains_key("location"), "a client must not take the thread's stream for a run's");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// Reads until `check` accepts the frames so far, and returns these; `None` if the stream ends before.
    async fn until(&mut self, check: impl Fn(&[Frame]) -> bool) -> Option<Vec<Frame>> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let all = frames(&self.text);
            if check(&all) {
                return Some(all);
            }
            let next = tokio::time::timeout_at(deadline, self.body.next()).await;
            let bytes = next.unwrap_or_else(|_| panic!("nothing more comes after {}", self.text))?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Reads until `count` runs have ended, and returns all frames.
    async fn ends(&mut self, count: usize) -> Vec<Frame> {
        self.until(|all| all.iter().filter(|frame| is_done(frame)).count() == count).await.unwrap()
    }
}

fn is_done((name, data, _): &Frame) -> bool {
    name == "metadata" && data["status"] == "run_done"
}

fn names(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| if is_done(frame) { "done" } else { &frame.0 }).collect()
}

async fn run(server: &Server, thread: &str, graph: &str, resumable: bool) -> Value {
    let body = json!({"assistant_id": graph, "input": {}, "stream_mode": "values", "stream_resumable": resumable});
    server.post(&format!("/threads/{thread}/runs/wait"), body).await.ok()
}

#[tokio::test]
async fn a_thread_streams_in_the_requested_modes() {
    let server = server().await;
    let thread = server.thread().await;
    let mut open = Vec::new();
    for query in ["", "?stream_modes=lifecycle", "?stream_modes=state_update", "?stream_mode=lifecycle,state_update"] {
        open.push(Listener::open(&server, &thread, query, None).await);
    }
    let all = "?stream_modes=%5B%22run_modes%22%5D&stream_modes=state_update";
    open.push(Listener::open(&server, &thread, all, None).await);
    run(&server, &thread, "echo", false).await;
    let update = json!({"values": {"log": ["x"]}});
    server.post(&format!("/threads/{thread}/state"), update).await.ok();
    run(&server, &thread, "fail", true).await;
    server.post(&format!("/threads/{thread}/state"), json!({"values": {"log": ["y"]}})).await.ok();

    let heard =
        open[4].until(|all| all.last().is_some_and(|frame| frame.1["state"]["values"]["log"] == json!(["y"]))).await;
    let heard = heard.unwrap();
    let expected =
        ["metadata", "values", "values", "done", "state_update", "metadata", "values", "error", "done", "state_update"];
    assert_eq!(names(&heard), expected);
    let ids: Vec<_> = heard.iter().map(|frame| frame.2.clone().unwrap()).collect();
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len(), "every event has a unique id");
    assert_eq!(heard[0].1["run_id"], heard[3].1["run_id"]);
    assert_eq!(heard[0].1["attempt"], 1);
    assert_eq!(heard[4].1["thread_id"], thread);
    assert_eq!(heard[4].1["state"]["values"]["log"], json!(["echo", "x"]));
    assert_eq!(heard[4].1["state"].get("__thread__"), None);
    let only = |modes: &[&str]| heard.iter().filter(|frame| modes.contains(&&*frame.0)).cloned().collect::<Vec<_>>();
    for (listener, modes) in open.iter_mut().zip([
        &["metadata", "values", "error"][..],
        &["metadata"],
        &["state_update"],
        &["metadata", "state_update"],
    ]) {
        let expected = only(modes);
        assert_eq!(listener.until(|all| all.len() == expected.len()).await.unwrap(), expected, "{modes:?}");
    }
}

#[tokio::test]
async fn a_listener_that_resumes_gets_every_kept_event() {
    let server = server().await;
    let thread = server.thread().await;
    let mut live = Listener::open(&server, &thread, "", None).await;
    run(&server, &thread, "echo", true).await;
    run(&server, &thread, "echo", false).await;
    run(&server, &thread, "echo", true).await;
    let all = live.ends(3).await;
    let kept: Vec<_> = [&all[..4], &all[8..]].concat();
    assert_eq!(names(&kept), ["metadata", "values", "values", "done"].repeat(2));
    for beginning in ["-", "-1", "0", "0-0"] {
        let mut again = Listener::open(&server, &thread, "", Some(beginning)).await;
        assert_eq!(again.ends(2).await, kept, "{beginning}");
    }
    for (place, (.., id)) in kept.iter().enumerate() {
        let rest = &kept[place + 1..];
        let mut again = Listener::open(&server, &thread, "", id.as_deref()).await;
        assert_eq!(again.until(|all| all.len() == rest.len()).await.unwrap(), rest, "after event {place}");
    }
    let mut again = Listener::open(&server, &thread, "?stream_modes=lifecycle", Some("-")).await;
    run(&server, &thread, "echo", false).await;
    let lifecycle = again.ends(3).await;
    assert_eq!(names(&lifecycle), ["metadata", "done"].repeat(3), "and continues with new events");
}

#[tokio::test]
async fn wrong_input_is_refused() {
    let server = server().await;
    let thread = server.thread().await;
    for (query, mode) in [("stream_modes=bogus", "bogus"), ("stream_mode=lifecycle,values", "values")] {
        let answer = server.get(&format!("/threads/{thread}/stream?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.detail()), (422, format!("Invalid stream mode: {mode}")));
    }
    for id in ["abc", "1-", "--1"] {
        let answer = server.send("GET", &format!("/threads/{thread}/stream"), &[("last-event-id", id)], "").await;
        let expected = (422, "Invalid last-event-id: must be a valid Redis stream ID".to_owned());
        assert_eq!((answer.status.as_u16(), answer.detail()), expected, "{id}");
    }
    assert_eq!(server.get("/threads/nonsense/stream").await.status, 422);
}

#[tokio::test]
async fn a_thread_can_be_listened_to_before_it_is_made() {
    let server = server().await;
    let mut early = Listener::open(&server, NOWHERE, "", None).await;
    let alive = tokio::time::timeout(Duration::from_secs(30), early.body.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(alive, ": heartbeat\r\n\r\n");
    let body = json!({"assistant_id": "echo", "input": {}, "stream_mode": "values", "if_not_exists": "create"});
    server.post(&format!("/threads/{NOWHERE}/runs/wait"), body).await.ok();
    assert_eq!(names(&early.ends(1).await), ["metadata", "values", "values", "done"]);
}

#[tokio::test]
async fn events_of_hidden_threads_are_not_streamed() {
    let server = server().await;
    let mut listener = Listener::open(&server, NOWHERE, "", Some("-")).await;
    // Simulates another tenant's thread with this id: the log has events, but the caller's tenant has no row.
    let log = log(NOWHERE, NOWHERE);
    let event = |text: &'static str| vec![NewEvent { name: "values".into(), data: text.into() }];
    server.events.append(log, 1, true, event("1")).await.unwrap();
    server.events.append_to_thread(log.thread_id, event("2")).await.unwrap();
    let alive = tokio::time::timeout(Duration::from_secs(30), listener.body.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(alive, ": heartbeat\r\n\r\n");
    server.post("/threads", json!({"thread_id": NOWHERE})).await.ok();
    server.events.append(log, 1, true, event("3")).await.unwrap();
    let heard = listener.until(|all| !all.is_empty()).await.unwrap();
    assert_eq!(heard[0].1, 3, "only events since the thread belongs to the caller");
}

#[tokio::test]
async fn a_deleted_thread_ends_its_streams() {
    let server = server().await;
    let thread = server.thread().await;
    run(&server, &thread, "echo", true).await;
    server.slow_run(&thread, 60_000).await;
    let mut listener = Listener::open(&server, &thread, "", Some("-")).await;
    listener.ends(1).await;
    assert_eq!(server.send("DELETE", &format!("/threads/{thread}"), &[], "").await.status, 204);
    assert_eq!(listener.until(|_| false).await, None, "the stream ends");
    // A new thread with the same id gets none of the old events.
    server.post("/threads", json!({"thread_id": thread})).await.ok();
    let mut anew = Listener::open(&server, &thread, "", Some("-")).await;
    run(&server, &thread, "echo", true).await;
    assert_eq!(names(&anew.ends(1).await), ["metadata", "values", "values", "done"]);
}

#[tokio::test]
async fn runs_that_end_without_a_worker_are_reported_once() {
    let server = server().await;
    let thread = server.thread().await;
    let first = server.slow_run(&thread, 60_000).await;
    let path = format!("/threads/{thread}/runs");
    let mut listener = Listener::open(&server, &thread, "?stream_modes=lifecycle", None).await;
    let pending = [server.slow_run(&thread, 1).await, server.slow_run(&thread, 1).await];
    assert_eq!(server.post(&format!("{path}/{}/cancel", pending[0]), json!({})).await.status, 202);
    assert_eq!(server.send("DELETE", &format!("{path}/{}", pending[1]), &[], "").await.status, 204);
    assert_eq!(server.send("DELETE", &format!("{path}/{}", pending[0]), &[], "").await.status, 204);
    assert_eq!(server.send("DELETE", &format!("{path}/{first}"), &[], "").await.status, 204);
    run(&server, &thread, "echo", false).await;
    let heard = listener.ends(4).await;
    let done: Vec<_> = heard.iter().filter(|frame| is_done(frame)).map(|frame| frame.1["run_id"].clone()).collect();
    assert_eq!(done[..3], [pending[0].clone(), pending[1].clone(), first].map(Value::from));
}

#[tokio::test]
async fn a_slow_listener_gets_an_error() {
    let server = server().await;
    let thread = server.thread().await;
    let listener = Listener::open(&server, &thread, "", None).await;
    let data = bytes::Bytes::from(vec![b'1'; 1024 * 1024]);
    for _ in 0..40 {
        let event = NewEvent { name: "values".into(), data: data.clone() };
        server.events.append(log(&thread, NOWHERE), 1, false, vec![event]).await.unwrap();
    }
    let mut end = Vec::new();
    let mut body = listener.body;
    while let Some(bytes) = body.next().await {
        end = bytes.unwrap().to_vec();
    }
    let end = String::from_utf8_lossy(&end[end.len().saturating_sub(400)..]).into_owned();
    assert!(end.contains("event: error\r\ndata: {\"error\":\"SlowReader\""), "{end}");
}
