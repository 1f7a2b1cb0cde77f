//! The limits of what clients may send: of searches, of all bodies in flight, and of numbers.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use langopen_api::{BodyBudget, Settings};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::harness::{NOWHERE, quick, server, server_with};
use crate::protocol_socket::listen;

/// The most bytes of a search in these tests.
const SEARCH: usize = 10_000;

fn small() -> Settings {
    quick().with_max_search_body_bytes(SEARCH)
}

#[tokio::test]
async fn searches_and_filters_have_a_limit_of_their_own() {
    let server = server_with(|server| server.with_settings(small())).await;
    let integers = format!("{{\"metadata\":{{\"a\":[1{}]}}}}", ",1".repeat(SEARCH / 2));
    let thread = server.thread().await;
    for (method, path) in [
        ("POST", "/threads/search".to_owned()),
        ("POST", "/threads/count".to_owned()),
        ("POST", "/threads/prune".to_owned()),
        ("POST", "/assistants/search".to_owned()),
        ("POST", "/assistants/count".to_owned()),
        ("POST", format!("/assistants/{NOWHERE}/versions")),
        ("POST", format!("/assistants/{NOWHERE}/latest")),
        ("POST", "/runs/crons/search".to_owned()),
        ("POST", "/runs/crons/count".to_owned()),
        ("POST", "/runs/cancel".to_owned()),
        ("POST", "/store/items/search".to_owned()),
        ("POST", "/store/namespaces".to_owned()),
        ("DELETE", "/store/items".to_owned()),
        ("POST", format!("/threads/{thread}/history")),
        ("POST", format!("/threads/{thread}/state/checkpoint")),
        ("POST", format!("/threads/{thread}/stream/events")),
    ] {
        let answer = server.send(method, &path, &[], integers.clone()).await;
        assert_eq!(answer.status, 413, "{method} {path}: {}", answer.text);
        assert_eq!(answer.detail(), format!("Request body exceeds {SEARCH} bytes"));
    }
    // Fields that the server stores unchanged have the limit of bodies.
    assert_eq!(server.send("POST", "/threads", &[], integers).await.status, 200);
    let command = json!({"id": 1, "method": "state.get", "params": {"keys": vec!["a"; SEARCH / 4]}});
    let reply = server.post(&format!("/threads/{thread}/commands"), command).await.ok();
    assert_eq!(reply["error"], "invalid_argument", "{reply}");
    let reply = server
        .send("POST", &format!("/threads/{thread}/commands"), &[], format!("{{\"id\":[{}1]}}", "1,".repeat(20_000)))
        .await;
    assert_eq!((reply.status.as_u16(), &reply.json()["id"]), (400, &Value::Null));
}

#[tokio::test]
async fn the_subscriptions_of_a_websocket_have_it_together() {
    let server = server_with(|server| server.with_settings(small())).await;
    let thread = server.thread().await;
    let mut socket = listen(server).await.open_at("", &thread, &[]).await;
    let names: Vec<_> = (0..100).map(|n| format!("custom:{n:0>20}")).collect();
    let subscribe = json!({"id": 1, "method": "subscription.subscribe", "params": {"channels": names}}).to_string();
    let mut ids = Vec::new();
    for n in 0..5 {
        socket.frame(subscribe.clone().into_bytes()).await;
        let reply = socket.next().await.unwrap();
        match n < 3 {
            true => ids.push(reply["result"]["subscription_id"].clone()),
            false => assert_eq!(reply["error"], "invalid_argument", "{n}: {reply}"),
        }
    }
    // A subscription that ends frees its bytes for another.
    let end = json!({"id": 2, "method": "subscription.unsubscribe", "params": {"subscription_id": ids[0]}}).to_string();
    socket.frame(end.into_bytes()).await;
    assert_eq!(socket.next().await.unwrap()["type"], "success");
    socket.frame(subscribe.into_bytes()).await;
    assert_eq!(socket.next().await.unwrap()["type"], "success");
}

#[tokio::test]
async fn a_message_of_a_websocket_has_a_limit() {
    let settings = quick().with_max_message_bytes(20_000);
    let server = server_with(|server| server.with_settings(settings)).await;
    let thread = server.thread().await;
    let mut socket = listen(server).await.open_at("", &thread, &[]).await;
    socket.frame(vec![b' '; 20_001]).await;
    let close = socket.next().await.unwrap_err().unwrap();
    assert_eq!(u16::from(close.code), 1009, "{close:?}");
}

#[tokio::test]
async fn bodies_in_flight_share_a_budget() {
    let budget = BodyBudget::new(100 * 1024);
    let shared = budget.clone();
    let settings = quick().with_max_body_bytes(200_000);
    let server = server_with(|server| server.with_settings(settings).with_body_budget(shared)).await;
    // A client announces a large body and has sent half of the budget.
    let (mut pieces, body) = futures::channel::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let slow = server.clone();
    let (done, mut answered) = mpsc::channel(1);
    tokio::spawn(async move {
        let answer = slow.send("POST", "/threads", &[("content-length", "90000")], Body::from_stream(body)).await;
        done.send(answer.status.as_u16()).await.unwrap();
    });
    assert_eq!(budget.in_flight(), 0);
    pieces.send(Ok(Bytes::from(vec![b' '; 50 * 1024]))).await.unwrap();
    while budget.in_flight() < 50 * 1024 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let body = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
    let refused = server.send("POST", "/threads", &[], body(60 * 1024)).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"), "{}", refused.text);
    assert_eq!(server.send("POST", "/threads", &[], body(40 * 1024)).await.status, 200);
    assert_eq!(server.send("POST", "/threads", &[], body(150 * 1024)).await.status, 413);
    pieces.send(Ok(Bytes::from_static(b"{}"))).await.unwrap();
    drop(pieces);
    assert_eq!(answered.recv().await, Some(200));
    assert_eq!(budget.in_flight(), 0, "an answered request frees its bytes");
    assert_eq!(server.send("POST", "/threads", &[], body(60 * 1024)).await.status, 200);
}

/// A stalled reader holds one batch of the replayed events, and readers at the same event share it.
#[tokio::test]
async fn readers_that_stall_hold_little() {
    let server = server().await;
    let thread = server.thread().await;
    let run = json!({"assistant_id": "echo", "input": {"x": "1".repeat(50_000)}, "stream_resumable": true, "stream_mode": "custom"});
    let run = server.post(&format!("/threads/{thread}/runs"), run).await.ok();
    let path = format!("/threads/{thread}/runs/{}", run["run_id"].as_str().unwrap());
    server.get(&format!("{path}/join")).await.ok();
    let mut large = Vec::new();
    for _ in 0..20 {
        let response = server.open("GET", &format!("{path}/stream"), &[("last-event-id", "-")], "").await;
        let mut pieces = response.into_body().into_data_stream();
        let piece = loop {
            let piece = pieces.next().await.unwrap().unwrap();
            if piece.len() > 40_000 {
                break piece;
            }
        };
        large.push((piece, pieces));
    }
    assert!(large.iter().all(|(piece, _)| piece.as_ptr() == large[0].0.as_ptr()), "the readers share the event's data");
}

#[tokio::test]
async fn numbers_that_no_double_holds_are_refused_at_every_door() {
    let server = server().await;
    let thread = server.thread().await;
    let agents = server.post("/assistants/search", json!({"graph_id": "echo"})).await.ok();
    let agent = format!("/a2a/{}", agents[0]["assistant_id"].as_str().unwrap());
    let digits = "9".repeat(400);
    for number in ["1e999", "-1e999", &digits] {
        let at = format!("{{\"a\":[{{\"x\":{number}}}]}}");
        for (method, path, body) in [
            ("POST", "/runs/wait".to_owned(), format!("{{\"assistant_id\":\"echo\",\"input\":{at}}}")),
            (
                "POST",
                format!("/threads/{thread}/runs"),
                format!("{{\"assistant_id\":\"echo\",\"command\":{{\"update\":{at}}}}}"),
            ),
            (
                "POST",
                format!("/threads/{thread}/runs"),
                format!("{{\"assistant_id\":\"echo\",\"command\":{{\"resume\":{at}}}}}"),
            ),
            (
                "POST",
                format!("/threads/{thread}/runs"),
                format!("{{\"assistant_id\":\"echo\",\"config\":{{\"configurable\":{at}}}}}"),
            ),
            ("POST", "/runs/batch".to_owned(), format!("[{{\"assistant_id\":\"echo\",\"input\":{at}}}]")),
            ("POST", format!("/threads/{thread}/state"), format!("{{\"values\":{at}}}")),
            ("POST", "/threads".to_owned(), format!("{{\"metadata\":{at}}}")),
            ("POST", "/assistants".to_owned(), format!("{{\"graph_id\":\"echo\",\"context\":{at}}}")),
            (
                "POST",
                "/runs/crons".to_owned(),
                format!("{{\"assistant_id\":\"echo\",\"schedule\":\"* * * * *\",\"input\":{at}}}"),
            ),
            ("PUT", "/store/items".to_owned(), format!("{{\"namespace\":[\"n\"],\"key\":\"k\",\"value\":{at}}}")),
        ] {
            let answer = server.send(method, &path, &[], body).await;
            assert_eq!(answer.status, 422, "{path}: {}", answer.text);
            assert!(answer.detail().contains("number out of range: "), "{}", answer.text);
        }
        let call = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"arguments\":{at}}}}}"
        );
        let answer = server.send("POST", "/mcp", &[], call).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (400, json!({"error": "Invalid JSON"})));
        let parts = format!("{{\"messageId\":\"m\",\"role\":\"user\",\"parts\":[{{\"data\":{at}}}]}}");
        let send =
            format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendMessage\",\"params\":{{\"message\":{parts}}}}}");
        assert_eq!(server.send("POST", &agent, &[], send).await.ok()["error"]["code"], -32700);
        let start =
            format!("{{\"id\":1,\"method\":\"run.start\",\"params\":{{\"assistant_id\":\"echo\",\"input\":{at}}}}}");
        let reply = server.send("POST", &format!("/threads/{thread}/commands"), &[], start.clone()).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (400, &json!("invalid_argument")));
        let mut socket = listen(server.clone()).await.open_at("", &thread, &[]).await;
        socket.frame(start.into_bytes()).await;
        assert_eq!(socket.next().await.unwrap()["error"], "invalid_argument");
    }
    assert_eq!(server.get(&format!("/threads/{thread}/runs")).await.ok(), json!([]));
}
