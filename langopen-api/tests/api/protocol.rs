//! The event streaming protocol over HTTP: commands, and the thread's events.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::{NOWHERE, Server, server};
use crate::streams::frames;

/// An open stream of a thread's events.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    async fn open(server: &Server, thread: &str, request: Value) -> Self {
        let path = format!("/threads/{thread}/stream/events");
        let response = server.open("POST", &path, &[], request.to_string()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// Reads until `check` accepts the events so far, and returns these.
    async fn until(&mut self, check: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let all: Vec<_> = frames(&self.text).into_iter().map(whole).collect();
            if check(&all) {
                return all;
            }
            let next = tokio::time::timeout_at(deadline, self.body.next()).await;
            let next = next.unwrap_or_else(|_| panic!("nothing more comes after {}", self.text));
            let bytes = next.unwrap_or_else(|| panic!("the stream ends after {}", self.text)).unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Reads until `count` runs have ended, and returns all events.
    async fn ends(&mut self, count: usize) -> Vec<Value> {
        self.until(|all| all.iter().filter(|event| is_end(event)).count() == count).await
    }
}

/// The event of a frame, after a check that the frame's lines agree with it.
fn whole((name, event, id): (String, Value, Option<String>)) -> Value {
    assert_eq!((&event["type"], &event["method"]), (&json!("event"), &json!(name)));
    assert_eq!(event["seq"].to_string(), id.unwrap());
    event
}

fn is_end(event: &Value) -> bool {
    let status = event["params"]["data"]["event"].as_str().unwrap_or_default();
    event["method"] == "lifecycle"
        && event["params"]["namespace"] == json!([])
        && ["completed", "failed", "interrupted"].contains(&status)
}

/// The method of each event, or a lifecycle event's status.
fn names(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| match event["method"].as_str().unwrap() {
        "lifecycle" => event["params"]["data"]["event"].as_str().unwrap().to_owned(),
        method => method.to_owned(),
    };
    events.iter().map(name).collect()
}

async fn command(server: &Server, thread: &str, method: &str, params: Value) -> Value {
    let command = json!({"id": 7, "method": method, "params": params});
    let reply = server.post(&format!("/threads/{thread}/commands"), command).await.ok();
    assert_eq!(reply["id"], 7);
    reply
}

async fn start(server: &Server, thread: &str, graph: &str, more: Value) -> String {
    let mut params = json!({"assistant_id": graph, "input": {"ms": 100}});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = command(server, thread, "run.start", params).await;
    assert!(reply["type"] == "success" && reply["meta"]["applied_through_seq"].is_u64(), "{reply}");
    reply["result"]["run_id"].as_str().unwrap().to_owned()
}

fn all() -> Value {
    let channels = ["values", "updates", "messages", "tools", "lifecycle", "input", "tasks", "custom", "checkpoints"];
    json!({"channels": channels})
}

#[tokio::test]
async fn a_stream_that_was_opened_before_its_thread_hears_run_after_run() {
    let server = server().await;
    let mut events = Events::open(&server, NOWHERE, all()).await;
    let first = start(&server, NOWHERE, "echo", json!({"metadata": {"k": "v"}})).await;
    let heard = events.ends(1).await;
    let told = ["checkpoints", "values", "checkpoints", "tasks", "custom", "updates", "tasks", "values", "checkpoints"];
    assert_eq!(names(&heard), [&["running"], &told[..], &["completed"]].concat());
    let running = &heard[0];
    assert_eq!(running["event_id"], format!("synth:{first}:lc||running"));
    assert_eq!(running["params"]["data"], json!({"event": "running", "graph_name": "echo"}));
    assert_eq!(heard[5]["params"]["data"], json!({"heard": {"ms": 100}}), "as the graph wrote it");
    assert_eq!(heard[8]["params"]["data"]["log"], json!(["echo"]));

    start(&server, NOWHERE, "fail", json!({})).await;
    let heard = events.ends(2).await;
    assert_eq!(
        heard.last().unwrap()["params"]["data"],
        json!({"event": "failed", "graph_name": "fail", "error": "boom"})
    );
    let seqs: Vec<_> = heard.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    let thread = server.get(&format!("/threads/{NOWHERE}")).await.ok();
    assert_eq!((&thread["status"], &thread["metadata"]["graph_id"]), (&json!("error"), &json!("fail")));
    let runs = server.get(&format!("/threads/{NOWHERE}/runs")).await.ok();
    assert_eq!(runs[1]["metadata"]["k"], "v");
    assert_eq!(runs[1]["kwargs"]["stream_mode"][4], "lifecycle");

    let again = Events::open(&server, NOWHERE, all()).await.ends(2).await;
    assert_eq!(again, heard, "a new reader gets the same events");
    for at in 0..heard.len() - 1 {
        let mut request = all();
        request["since"] = heard[at]["seq"].clone();
        let rest = heard[at + 1..].iter().filter(|event| is_end(event)).count();
        assert_eq!(Events::open(&server, NOWHERE, request).await.ends(rest).await, heard[at + 1..]);
    }
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_it_begins_has_an_end() {
    let server = server().await;
    let thread = server.thread().await;
    let mut events = Events::open(&server, &thread, json!({"channels": ["lifecycle"]})).await;
    start(&server, &thread, "slow", json!({"input": {"ms": 3_000}})).await;
    events.until(|all| all.len() == 1).await;
    let second = start(&server, &thread, "echo", json!({})).await;
    assert_eq!(server.post(&format!("/threads/{thread}/runs/{second}/cancel"), json!({})).await.status, 202);
    let heard = events.ends(1).await;
    let end = heard.last().unwrap();
    assert_eq!(end["event_id"], format!("synth:{second}:lc||failed"));
    assert_eq!(
        end["params"]["data"],
        json!({"event": "failed", "graph_name": "echo", "error": "the run was cancelled"})
    );
    let later = Events::open(&server, &thread, json!({"channels": ["lifecycle"]})).await.ends(1).await;
    assert_eq!(later, heard, "a later reader gets it too");

    // A run that replaces the current one at once, and then the earlier run's end.
    let third = start(&server, &thread, "echo", json!({"multitaskStrategy": "interrupt"})).await;
    let heard = events.ends(3).await;
    let ends: Vec<_> = heard.iter().filter(|event| is_end(event)).collect();
    assert_eq!(ends[1]["params"]["data"]["event"], "failed");
    assert_eq!(ends[2]["event_id"], format!("synth:{third}:lc||completed"));
}

#[tokio::test]
async fn an_answer_has_the_number_of_the_last_event() {
    let server = server().await;
    let params = json!({"assistant_id": "echo", "input": {}});
    let through = |reply: &Value| reply["meta"]["applied_through_seq"].as_u64().unwrap();
    assert_eq!(through(&command(&server, NOWHERE, "run.start", params.clone()).await), 0, "a new thread");
    let mut events = Events::open(&server, NOWHERE, all()).await;
    let first = events.ends(1).await;
    let last = first.last().unwrap()["seq"].as_u64().unwrap();
    assert_eq!(through(&command(&server, NOWHERE, "state.get", json!({"namespace": []})).await), last);
    assert_eq!(through(&command(&server, NOWHERE, "run.start", params).await), last, "no event of the new run");
    let both = events.ends(2).await;
    assert!(both[first.len()]["seq"].as_u64().unwrap() > last);
    assert_eq!(both[first.len()]["params"]["data"]["event"], "running", "the new run's first event comes after it");
}

#[tokio::test]
async fn a_config_needs_no_configurable() {
    let server = server().await;
    for config in
        [json!({}), json!({"tags": ["x"]}), json!({"recursion_limit": 9}), json!({"configurable": {}}), json!(null)]
    {
        let thread = server.thread().await;
        start(&server, &thread, "echo", json!({"config": config})).await;
    }
    for id in [json!(5), json!(""), json!({})] {
        let params = json!({"assistant_id": "echo", "config": {"configurable": {"checkpoint_id": id}}});
        assert_eq!(command(&server, NOWHERE, "run.start", params).await["error"], "invalid_argument", "{id}");
    }
}

#[tokio::test]
async fn strategies_act_at_once() {
    let server = server().await;
    let thread = server.thread().await;
    start(&server, &thread, "slow", json!({"input": {"ms": 2_000}})).await;
    let params = json!({"assistant_id": "echo", "multitask_strategy": "reject"});
    let refused = command(&server, &thread, "run.start", params).await;
    assert_eq!(refused["error"], "unknown_error");
    assert!(refused["message"].as_str().unwrap().starts_with("409: Thread is already running a task."), "{refused}");
    let rollback = json!({"multitaskStrategy": "rollback"});
    let run = start(&server, &thread, "echo", rollback).await;
    let runs = server.get(&format!("/threads/{thread}/runs")).await.ok();
    assert_eq!(runs[0]["run_id"], run);
}

#[tokio::test]
async fn runs_of_other_operations_are_streamed_too() {
    let server = server().await;
    let thread = server.thread().await;
    let mut events = Events::open(&server, &thread, all()).await;
    let body = json!({"assistant_id": "echo", "input": {}, "stream_mode": ["values", "updates"]});
    server.post(&format!("/threads/{thread}/runs/wait"), body).await.ok();
    let heard = events.ends(1).await;
    assert_eq!(names(&heard)[0], "running");
    let update = heard.iter().find(|event| event["method"] == "updates").unwrap();
    assert_eq!(update["params"]["data"]["node"], "echo");
}

#[tokio::test]
async fn states_are_read_and_forked() {
    let server = server().await;
    let thread = server.thread().await;
    let none = command(&server, &thread, "state.get", json!({"namespace": []})).await;
    assert_eq!(none["error"], "no_such_run");
    assert_eq!(command(&server, &thread, "agent.getTree", json!({})).await["error"], "no_such_run");
    assert_eq!(
        command(
            &server,
            &thread,
            "input.inject",
            json!({"namespace": [], "message": {"role": "user", "content": "x"}})
        )
        .await["error"],
        "no_such_run"
    );
    start(&server, &thread, "echo", json!({})).await;
    let mut events = Events::open(&server, &thread, json!({"channels": ["lifecycle"]})).await;
    events.ends(1).await;
    let state = command(&server, &thread, "state.get", json!({"namespace": [], "keys": ["log"]})).await;
    assert_eq!(state["result"]["values"], json!({"log": ["echo"]}), "{state}");
    let id = state["result"]["checkpoint"]["id"].as_str().unwrap();
    let listed = command(&server, &thread, "state.listCheckpoints", json!({"limit": 5})).await;
    assert_eq!(listed["result"]["checkpoints"][0]["id"], id, "{listed}");
    let tree = command(&server, &thread, "agent.getTree", json!({})).await;
    assert_eq!(tree["result"]["tree"], json!({"namespace": [], "status": "completed", "graph_name": "echo"}));
    let forked = command(&server, &thread, "state.fork", json!({"checkpoint_id": id, "input": {}})).await;
    assert_eq!(forked["result"]["thread_id"], thread, "{forked}");
    let unknown = command(&server, &thread, "state.fork", json!({"checkpoint_id": NOWHERE})).await;
    assert_eq!(unknown["error"], "no_such_checkpoint", "{unknown}");
}

#[tokio::test]
async fn invalid_commands_get_clear_errors() {
    let server = server().await;
    let thread = server.thread().await;
    for (method, params, error, message) in [
        ("nope", json!({}), "unknown_command", "Unknown protocol command: nope"),
        ("run.start", json!({}), "invalid_argument", "run.start requires an assistant_id."),
        ("run.start", json!({"assistant_id": "echo", "config": {"tags": 1}}), "invalid_argument", "config"),
        (
            "run.start",
            json!({"assistant_id": "echo", "multitaskStrategy": "no"}),
            "invalid_argument",
            "multitaskStrategy",
        ),
        ("run.start", json!({"assistant_id": "nope"}), "unknown_error", "422: Invalid assistant: 'nope'."),
        ("run.start", json!({"assistant_id": NOWHERE}), "unknown_error", "404: Thread or assistant not found."),
        (
            "input.respond",
            json!({"interrupt_id": "bad", "response": 1}),
            "no_such_interrupt",
            "Unknown or already-consumed interrupt: bad",
        ),
        ("input.respond", json!({"responses": []}), "invalid_argument", "requires an interrupt_id"),
        ("input.respond", json!({"interrupt_id": "a", "update": 3}), "invalid_argument", "update must be an object"),
        ("subscription.subscribe", json!({"channels": ["values"]}), "not_supported", "needs a WebSocket"),
        ("state.get", json!({"namespace": "x"}), "invalid_argument", "namespace"),
        ("state.listCheckpoints", json!({"limit": 0}), "invalid_argument", "limit must be from 1 to 1000"),
        (
            "input.inject",
            json!({"namespace": ["x:1"], "message": {"role": "user", "content": "x"}}),
            "not_supported",
            "root",
        ),
    ] {
        let reply = command(&server, &thread, method, params.clone()).await;
        assert_eq!(reply["error"], error, "{method} {params}: {reply}");
        assert!(reply["message"].as_str().unwrap().contains(message), "{method} {params}: {reply}");
        assert_eq!(reply.get("meta"), None);
    }
    let path = format!("/threads/{thread}/commands");
    for (body, id) in [
        ("{", "null"),
        ("[]", "null"),
        (r#"{"id":"x","method":"run.start"}"#, r#""x""#),
        (r#"{"id":1,"method":"x","params":[]}"#, "1"),
    ] {
        let answer = server.send("POST", &path, &[], body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (400, &json!("invalid_argument")), "{body}");
        assert!(answer.text.starts_with(&format!(r#"{{"type":"error","id":{id},"error""#)), "{}", answer.text);
    }
    let path = format!("/threads/{thread}/stream/events");
    for (body, said) in [
        ("{}", "channels is required and must be a non-empty array"),
        ("{", "Invalid JSON in request body"),
        (r#"{"channels":["debug"]}"#, "channels contains unsupported entries: debug."),
    ] {
        let answer = server.send("POST", &path, &[], body).await;
        assert!((answer.status.as_u16(), answer.detail().contains(said)) == (400, true), "{body}: {}", answer.text);
    }
    let plain = server.send("GET", &path, &[], Body::empty()).await;
    assert!(plain.status.is_client_error() && plain.detail().contains("WebSocket"), "{}", plain.text);
    assert_eq!(server.send("POST", "/threads/x/commands", &[], "{}").await.status, 422);
}
