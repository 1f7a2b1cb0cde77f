//! The event streaming protocol over a WebSocket, against a server on a port.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::StatusCode;
use langopen_api::Cors;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::coverage::Owners;
use crate::harness::{NOWHERE, Server, quick, server_with};

/// A server on a port, and its router for all other requests.
pub(crate) struct Port {
    address: String,
    server: Server,
}

pub(crate) async fn listen(server: Server) -> Port {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Port { address, server }
}

pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    events: Vec<Value>,
}

impl Port {
    async fn open(&self, thread: &str, headers: &[(&'static str, &str)]) -> Socket {
        self.open_at("", thread, headers).await
    }

    /// Opens the thread's WebSocket below a path prefix.
    pub(crate) async fn open_at(&self, prefix: &str, thread: &str, headers: &[(&'static str, &str)]) -> Socket {
        let url = format!("ws://{}{prefix}/threads/{thread}/stream/events", self.address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (stream, response) = connect_async(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        Socket { stream, events: Vec::new() }
    }
}

impl Socket {
    /// The server's next message: an answer or an event.
    pub(crate) async fn next(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(30), self.stream.next()).await;
            match message.unwrap_or_else(|_| panic!("nothing more comes after {:?}", self.events)) {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] == "event" {
                        self.events.push(message.clone());
                    }
                    return Ok(message);
                }
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(Error::ConnectionClosed)) | None => return Err(None),
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }

    pub(crate) async fn frame(&mut self, bytes: Vec<u8>) {
        self.stream.send(Message::Binary(bytes.into())).await.unwrap();
    }

    async fn say(&mut self, text: impl Into<String>) {
        self.stream.send(Message::Text(text.into().into())).await.unwrap();
    }

    /// Sends a command and returns its answer. Events before the answer are stored.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.say(json!({"id": 9, "method": method, "params": params}).to_string()).await;
        loop {
            let message = self.next().await.unwrap();
            if message["type"] != "event" {
                return message;
            }
        }
    }

    async fn ends(&mut self, count: usize) {
        let ended = |event: &&Value| event["method"] == "lifecycle" && event["params"]["data"]["event"] != "running";
        while self.events.iter().filter(ended).count() < count {
            self.next().await.unwrap();
        }
    }

    async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(frame) => {
                    let frame = frame.unwrap();
                    return (frame.code.into(), frame.reason.to_string());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_socket_hears_each_event_once_and_is_taken_up_again() {
    let port = listen(server_with(|server| server.with_settings(quick())).await).await;
    let mut first = port.open(NOWHERE, &[]).await;
    let subscribed = first.ask("subscription.subscribe", json!({"channels": ["lifecycle", "values"]})).await;
    assert_eq!(subscribed["meta"], json!({"applied_through_seq": 0}), "{subscribed}");
    let again = first.ask("subscription.subscribe", json!({"channels": ["values", "custom"]})).await;
    assert_ne!(again["result"]["subscription_id"], subscribed["result"]["subscription_id"]);
    first.ask("run.start", json!({"assistant_id": "echo", "input": {}})).await;
    first.ends(1).await;
    let methods: Vec<_> = first.events.iter().map(|event| event["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["lifecycle", "values", "custom", "values", "lifecycle"], "two subscriptions, one event");
    let tree = first.ask("agent.getTree", json!({})).await;
    assert_eq!(tree["result"]["tree"]["status"], "completed");
    drop(first.stream);

    let mut second = port.open(NOWHERE, &[]).await;
    let seen = first.events[2]["event_id"].clone();
    let params = json!({"run_id": "x", "channels": ["lifecycle", "values", "custom"], "last_event_id": seen});
    let back = second.ask("subscription.reconnect", params).await;
    assert_eq!((&back["result"]["restored"], &back["result"]["missed_events"]), (&json!(true), &json!(2)), "{back}");
    second.ends(1).await;
    assert_eq!(second.events, first.events[3..]);
    port.server.send("DELETE", &format!("/threads/{NOWHERE}"), &[], "").await;
    assert_eq!(second.closed().await.0, 4404, "the thread is gone");
}

#[tokio::test]
async fn bad_frames_have_answers_and_too_large_ones_an_end() {
    let settings = quick().with_max_body_bytes(5_000);
    let port = listen(server_with(|server| server.with_settings(settings)).await).await;
    let mut socket = port.open(NOWHERE, &[]).await;
    for (frame, id) in [("{", json!(null)), ("[]", json!(null)), (r#"{"id":3}"#, json!(3))] {
        socket.say(frame).await;
        let answer = socket.next().await.unwrap();
        assert_eq!((&answer["error"], &answer["id"]), (&json!("invalid_argument"), &id), "{frame}");
    }
    assert_eq!(socket.ask("nope", json!({})).await["error"], "unknown_command");
    socket.say(" ".repeat(6_000)).await;
    assert_eq!(socket.closed().await, (CloseCode::Size.into(), "a message has at most 5000 bytes".to_owned()));
    assert_eq!(
        port.open(NOWHERE, &[]).await.ask("nope", json!({})).await["error"],
        "unknown_command",
        "the server continues to run"
    );
}

#[tokio::test]
async fn refused_clients_get_a_close_code() {
    let port = listen(server_with(|server| server.with_settings(quick()).with_auth(Arc::new(Owners))).await).await;
    let made = port.server.send("POST", "/threads", &[("x-user", "alice")], "{}").await.ok();
    let thread = made["thread_id"].as_str().unwrap();
    assert_eq!(port.open(thread, &[]).await.closed().await, (4401, "who?".to_owned()));
    assert_eq!(port.open(thread, &[("x-user", "bob")]).await.closed().await.0, 4404);
    assert_eq!(port.open("x", &[("x-user", "bob")]).await.closed().await.0, 4422);
    let mut alice = port.open(thread, &[("x-user", "alice")]).await;
    assert_eq!(alice.ask("subscription.subscribe", json!({"channels": ["values"]})).await["type"], "success");
    // A thread stays hidden from a client that subscribed before another user created it.
    let mut bob = port.open(NOWHERE, &[("x-user", "bob")]).await;
    bob.ask("subscription.subscribe", json!({"channels": ["values"]})).await;
    let as_alice = [("x-user", "alice")];
    let made = port.server.send("POST", "/assistants", &as_alice, r#"{"graph_id":"echo"}"#).await.ok();
    let params = json!({"assistant_id": made["assistant_id"], "input": {}});
    let command = json!({"id": 1, "method": "run.start", "params": params}).to_string();
    let started = port.server.send("POST", &format!("/threads/{NOWHERE}/commands"), &as_alice, command).await.ok();
    assert_eq!(started["type"], "success", "{started}");
    assert_eq!(bob.closed().await.0, 4404);
    assert!(bob.events.is_empty());
}

#[tokio::test]
async fn pages_call_from_origins_that_may() {
    let cors = Cors { allow_origins: vec!["https://a.example".to_owned()], ..Cors::default() };
    let settings = quick().with_cors(Some(cors));
    let port = listen(server_with(|server| server.with_settings(settings)).await).await;
    let own = format!("http://{}", port.address);
    for origin in ["https://a.example", &own] {
        let mut socket = port.open(NOWHERE, &[("origin", origin)]).await;
        assert_eq!(socket.ask("nope", json!({})).await["error"], "unknown_command", "{origin}");
    }
    let refused = port.open(NOWHERE, &[("origin", "https://evil.example")]).await.closed().await;
    assert_eq!(refused, (4403, "Pages of this origin may not call".to_owned()));
}
