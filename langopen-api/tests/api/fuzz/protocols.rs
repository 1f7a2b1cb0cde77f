//! Commands and calls of the other protocols.

use std::sync::Arc;

use serde_json::{Value, json};

use super::values::{broken, spoiled, wrong};
use super::{answered, no_panics, sample};
use crate::coverage::{Owners, server_of_alice};
use crate::harness::{NOWHERE, quick, server_with};
use crate::protocol_socket::listen;

/// Commands of the thread protocol with all their parameters.
fn commands() -> Vec<Value> {
    let config = json!({"configurable": {"a": 1}, "tags": ["t"]});
    let message = json!({"role": "user", "content": "x", "name": "n"});
    let filter = json!({"channels": ["values", "custom:a"], "namespaces": [["a:1"]], "depth": 1, "since": 0, "last_event_id": "1"});
    let start = json!({"assistant_id": "echo", "input": {"x": 1}, "config": config, "metadata": {"a": 1}, "multitaskStrategy": "enqueue"});
    [
        ("run.start", start),
        ("input.respond", json!({"interrupt_id": "i", "response": 1, "config": config, "metadata": {}, "namespace": ["a"], "update": {"a": 1}, "goto": "a"})),
        ("input.respond", json!({"responses": [{"interrupt_id": "i", "response": {}, "namespace": ["a"]}], "config": config})),
        ("input.inject", json!({"namespace": [], "message": message})),
        ("state.get", json!({"namespace": ["a"], "keys": ["log"]})),
        ("state.listCheckpoints", json!({"namespace": ["a"], "limit": 2, "before": NOWHERE})),
        ("state.fork", json!({"checkpoint_id": NOWHERE, "input": {}, "config": config})),
        ("agent.getTree", json!({"run_id": NOWHERE})),
        ("subscription.subscribe", filter.clone()),
        ("subscription.reconnect", filter),
        ("subscription.unsubscribe", json!({"subscription_id": NOWHERE})),
        ("unknown", json!({})),
    ]
    .into_iter()
    .map(|(method, params)| json!({"id": 1, "method": method, "params": params}))
    .collect()
}

/// Messages of MCP and A2A with all their parameters.
fn calls() -> Vec<Value> {
    let message = json!({
        "messageId": "m", "role": "user", "contextId": NOWHERE, "taskId": format!("{NOWHERE}:{NOWHERE}"), "metadata": {"a": 1}, "kind": "message",
        "parts": [{"kind": "text", "text": "x", "data": {"resume": 1}, "file": {"bytes": "eA==", "uri": "u", "mimeType": "t", "name": "n"}}],
    });
    let text = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {"a": 1}}]});
    let configuration = json!({"blocking": true, "historyLength": 1, "historyScope": "task", "acceptedOutputModes": ["text"], "returnImmediately": true});
    let task = json!({"id": format!("{NOWHERE}:{NOWHERE}"), "historyLength": 1, "metadata": {}});
    let list = json!({"contextId": NOWHERE, "pageSize": 1, "pageToken": "x", "status": "TASK_STATE_WORKING", "lastUpdatedAfter": 1, "statusTimestampAfter": "2026-01-01T00:00:00Z", "historyLength": 1, "includeArtifacts": true});
    [
        (
            "initialize",
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}}),
        ),
        ("ping", json!({})),
        ("tools/list", json!({"cursor": "0"})),
        ("tools/call", json!({"name": "echo", "arguments": {"messages": "x"}, "context": {"a": 1}})),
        ("notifications/cancelled", json!({"requestId": 1})),
        ("message/send", json!({"message": message, "configuration": configuration, "metadata": {}})),
        ("SendMessage", json!({"message": text, "configuration": configuration, "metadata": {}})),
        ("message/stream", json!({"message": text, "configuration": configuration})),
        ("tasks/get", task.clone()),
        ("GetTask", task.clone()),
        ("tasks/cancel", task.clone()),
        ("CancelTask", task.clone()),
        ("tasks/resubscribe", task.clone()),
        ("SubscribeToTask", task),
        ("tasks/list", list.clone()),
        ("ListTasks", list),
        ("agent/getAuthenticatedExtendedCard", json!({})),
        ("tasks/pushNotificationConfig/set", json!({"taskId": "t", "pushNotificationConfig": {"url": "u"}})),
    ]
    .into_iter()
    .map(|(method, params)| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    .collect()
}

#[tokio::test]
async fn commands_and_calls() {
    let (server, ids) = server_of_alice().await;
    let thread = format!("/threads/{}/commands", ids.thread);
    let agent = format!("/a2a/{}", ids.assistant);
    for (turn, text) in wrong().into_iter().enumerate() {
        for command in commands() {
            for body in sample(spoiled(&command, &text, 2), turn) {
                // An answer to an interrupt waits for runs in flight, but this test is only about bodies.
                let path = if body.contains("input.respond") {
                    format!("/threads/{NOWHERE}/commands")
                } else {
                    thread.clone()
                };
                answered(&server, "POST", &path, &[], body.into_bytes()).await;
            }
        }
        for call in calls() {
            for body in sample(spoiled(&call, &text, 4), turn) {
                answered(&server, "POST", "/mcp", &[], body.clone().into_bytes()).await;
                answered(&server, "POST", &agent, &[], body.into_bytes()).await;
            }
        }
    }
}

#[tokio::test]
async fn frames_of_a_websocket() {
    let server = server_with(|server| server.with_settings(quick()).with_auth(Arc::new(Owners))).await;
    let thread = server.send("POST", "/threads", &[("x-user", "alice")], "{}").await.ok()["thread_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let port = listen(server).await;
    let mut frames: Vec<Vec<u8>> = broken();
    for text in wrong() {
        // Runs and answers to interrupts are slow, and the tests above cover them.
        let quick = commands().into_iter().filter(|command| {
            !command["method"].as_str().is_some_and(|method| method.starts_with("input.") || method == "run.start")
        });
        frames.extend(quick.flat_map(|command| spoiled(&command, &text, 2)).map(String::into_bytes));
    }
    let mut socket = port.open_at("", &thread, &[("x-user", "alice")]).await;
    for frames in frames.chunks(20) {
        for frame in frames {
            socket.frame(frame.clone()).await;
        }
        let mut replies = 0;
        while replies < frames.len() {
            let reply = socket.next().await.unwrap_or_else(|close| panic!("no reply, but {close:?}"));
            replies += usize::from(reply["type"] != "event");
        }
    }
    no_panics("a WebSocket");
}
