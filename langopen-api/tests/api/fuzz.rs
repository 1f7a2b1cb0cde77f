//! No request makes the server panic or return an internal error. The tests break every body, header, query and path of
//! every operation, and every command of the other protocols, in every way that their types allow.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::Request;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::coverage::{Ids, Owners, body_of, operations, server_of_alice};
use crate::harness::{NOWHERE, Server, quick, server_with};
use crate::protocol_socket::listen;

/// Messages of panics in the crates. Panics in files of tests do not count.
static PANICS: LazyLock<Arc<Mutex<Vec<String>>>> = LazyLock::new(|| {
    let panics = Arc::new(Mutex::new(Vec::new()));
    let (told, before) = (Arc::clone(&panics), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_none_or(|location| !location.file().contains("/tests/")) {
            told.lock().push(panic.to_string());
        }
        before(panic);
    }));
    panics
});

fn no_panics(what: &str) {
    let panics = std::mem::take(&mut *PANICS.lock());
    assert!(panics.is_empty(), "{what}: {panics:?}");
}

/// JSON values of wrong types and sizes.
fn wrong() -> Vec<String> {
    let values = [
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "1e308",
        "4294967295",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "1e999",
        "\"\"",
        "\"x\"",
        "\"\\u0000\"",
        "\"a\\u+000b\"",
        "\"\\ud800\"",
        "\"\\u202e\\u2028\"",
        "\"9999999999-01-01T00:00:00Z\"",
        "\"0000-00-00\"",
        "\"%00%ff\"",
        "\"$.a[*]\"",
        "\"values.[0]..x\"",
        "\"-\"",
        "\"*\"",
        "[]",
        "[null]",
        "[[]]",
        "[{}]",
        "[\"\"]",
        "[1e400]",
        "{}",
        "{\"\":null}",
        "{\"$eq\":[]}",
        "{\"$or\":[null]}",
        "{\"configurable\":null}",
        "{\"configurable\":[]}",
        "{\"configurable\":{}}",
        "{\"configurable\":{\"checkpoint_id\":1,\"thread_id\":[]}}",
        "{\"tags\":1,\"recursion_limit\":-1}",
        "{\"ttl\":1e308,\"strategy\":null}",
    ];
    let large = [
        format!("\"{}\"", "é".repeat(3000)),
        "9".repeat(400),
        format!("{}{}", "[".repeat(110), "]".repeat(110)),
        format!("{}1{}", "{\"a\":".repeat(110), "}".repeat(110)),
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
        format!("\"{NOWHERE}\""),
        format!("[\"{NOWHERE}\",\"{NOWHERE}\"]"),
    ];
    values.into_iter().map(str::to_owned).chain(large).collect()
}

/// Bodies that are not JSON objects.
fn broken() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 14] = [
        b"",
        b"{",
        b"[",
        b"\"",
        b"{}{}",
        b"{\"a\":1,\"a\":2}",
        b"{\"a\"}",
        b"\xff\xfe",
        b"{\"a\":\"\x00\"}",
        b"\xef\xbb\xbf{}",
        b"nul",
        b"-",
        b"1e",
        b"{\"\\u00\":1}",
    ];
    texts.into_iter().map(<[u8]>::to_vec).chain(wrong().into_iter().map(String::into_bytes)).collect()
}

/// Of the spoiled bodies, every eighth, another eighth for each text: all of them take many minutes. With `FUZZ=all` in the
/// environment, all of them.
fn sample(bodies: Vec<String>, turn: usize) -> impl Iterator<Item = String> {
    let every = if std::env::var("FUZZ").is_ok_and(|wanted| wanted == "all") { 1 } else { 8 };
    bodies.into_iter().skip(turn % every).step_by(every)
}

/// Variants of an object with `text` as the value of each key in turn, of each nested key, and of an unknown key.
fn spoiled(whole: &Value, text: &str, deep: usize) -> Vec<String> {
    let mut all = Vec::new();
    match whole {
        Value::Object(fields) => {
            let with = |spoiled: &str, inner: &str| {
                let mut parts: Vec<_> = fields
                    .iter()
                    .filter(|(key, _)| *key != spoiled)
                    .map(|(key, value)| format!("{}:{value}", json!(key)))
                    .collect();
                parts.push(format!("{}:{inner}", json!(spoiled)));
                format!("{{{}}}", parts.join(","))
            };
            for (key, value) in fields {
                all.push(with(key, text));
                if deep > 0 {
                    all.extend(spoiled(value, text, deep - 1).iter().map(|inner| with(key, inner)));
                }
            }
            all.push(with("unknown", text));
        }
        Value::Array(items) => {
            all.push(format!("[{text}]"));
            let inner = items.first().filter(|_| deep > 0);
            all.extend(
                inner.into_iter().flat_map(|item| spoiled(item, text, deep - 1)).map(|inner| format!("[{inner}]")),
            );
        }
        _ => {}
    }
    all
}

/// A body with every field of its schema, with values of the right types.
fn whole_body(document: &Value, schema: &Value, base: &Value, deep: usize) -> Value {
    let schema = match schema["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => schema,
    };
    let Some(properties) = schema["properties"].as_object().filter(|_| deep > 0) else { return base.clone() };
    let mut whole = base.as_object().cloned().unwrap_or_default();
    for (name, property) in properties {
        let held = whole.get(name).cloned().unwrap_or(Value::Null);
        let inner = property["oneOf"].as_array().and_then(|all| all.iter().find(|each| each["type"] != "null"));
        whole.insert(name.clone(), whole_body(document, inner.unwrap_or(property), &held, deep - 1));
    }
    Value::Object(whole)
}

/// Sends a request and checks that the server answers it. Returns the status, and the text of a failure.
async fn answered(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &[u8])],
    body: Vec<u8>,
) -> (u16, String) {
    LazyLock::force(&PANICS);
    let mut request = Request::builder().method(method).uri(path).header("x-user", "alice");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // HTTP cannot express some inputs, so the server never gets them.
    let Ok(request) = request.body(Body::from(body.clone())) else { return (0, String::new()) };
    let answer = tokio::time::timeout(Duration::from_secs(20), server.router.clone().oneshot(request)).await;
    let said = || {
        let body = String::from_utf8_lossy(&body).into_owned();
        format!("{method} {path} {headers:?} {}", body.chars().take(400).collect::<String>())
    };
    let answer = answer.unwrap_or_else(|_| panic!("no answer: {}", said())).unwrap();
    no_panics(&said());
    let status = answer.status().as_u16();
    let text = match status {
        400.. => String::from_utf8_lossy(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).into_owned(),
        _ => String::new(),
    };
    assert!(status < 500 || status == 501, "{status} {text}: {}", said());
    (status, text)
}

/// The operations. Those that delete resources of the others come last.
async fn all_operations(server: &Server, ids: &Ids) -> Vec<(String, String, String)> {
    let mut all = operations(server, ids).await;
    let removes = |id: &str| id.starts_with("delete_") || id.starts_with("prune_");
    all.sort_by_key(|(_, _, operation)| removes(operation));
    all
}

#[tokio::test]
async fn bodies() {
    let (server, ids) = server_of_alice().await;
    let document = server.get("/openapi.json").await.ok();
    let schemas: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|methods| methods.as_object().unwrap().values())
        .collect();
    for (method, path, operation) in all_operations(&server, &ids).await {
        let schema = schemas.iter().find(|schema| schema["operationId"] == json!(operation)).unwrap();
        let schema = &schema["requestBody"]["content"]["application/json"]["schema"];
        let base = body_of(&operation, &ids);
        for body in broken() {
            answered(&server, &method, &path, &[], body).await;
        }
        if schema.is_null() {
            continue;
        }
        let whole = whole_body(&document, schema, &base, 2);
        for (turn, text) in wrong().into_iter().enumerate() {
            let mut bodies = spoiled(&base, &text, 2);
            bodies.extend(spoiled(&whole, &text, 1));
            for body in sample(bodies, turn) {
                let (status, said) = answered(&server, &method, &path, &[], body.clone().into_bytes()).await;
                // A number that no double holds is refused in every field, even where the server stores the field's
                // text unchanged.
                if body.contains("1e999") || body.contains(&"9".repeat(400)) {
                    let json_rpc = ["post_a2a"].contains(&&*operation);
                    assert!(status >= 400 || json_rpc, "{operation} {body}: {status} {said}");
                }
            }
        }
    }
}

#[tokio::test]
async fn headers_queries_and_paths() {
    let (server, ids) = server_of_alice().await;
    let document = server.get("/openapi.json").await.ok();
    let long = "9".repeat(5000);
    let values: Vec<&[u8]> = vec![
        b"",
        b"\xff\xfe",
        b"-",
        b"0",
        b"-1",
        b"99999999999999999999-99999999999999999999",
        b"18446744073709551615-18446744073709551615",
        b"*",
        b"null",
        b"{}",
        b"text/plain",
        b"application/json; charset=\xff",
        b"websocket",
        b"http://evil.example",
        b"%00",
        long.as_bytes(),
        b"00-00000000000000000000000000000000-0000000000000000-ff",
        b"1.0",
        b"task",
    ];
    let names = [
        "last-event-id",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "x-request-id",
        "traceparent",
        "tracestate",
        "a2a-version",
        "langgraph-a2a-history-scope",
        "origin",
        "host",
        "upgrade",
        "connection",
        "prefer",
        "expect",
        "x-forwarded-proto",
        "authorization",
        "x-api-key",
        "x-auth-scheme",
        "mcp-session-id",
        "mcp-protocol-version",
        "access-control-request-method",
    ];
    let queries = [
        "",
        "=",
        "-1",
        "4294967295",
        "99999999999999999999",
        "%",
        "%00",
        "%FF%FE",
        "%+5",
        "[",
        "[1]",
        "[%22%22]",
        "{}",
        "true",
        "1e999",
        "a,b",
        "%7B%22configurable%22:null%7D",
    ];
    // Each operation gets every fourth value, another fourth than the operation before it.
    let every = if std::env::var("FUZZ").is_ok_and(|wanted| wanted == "all") { 1 } else { 4 };
    for (turn, (method, path, operation)) in all_operations(&server, &ids).await.into_iter().enumerate() {
        let body = body_of(&operation, &ids).to_string().into_bytes();
        for name in names {
            for value in values.iter().skip(turn % every).step_by(every) {
                answered(&server, &method, &path, &[(name, value)], body.clone()).await;
            }
        }
        let of_it =
            document["paths"].as_object().unwrap().values().flat_map(|methods| methods.as_object().unwrap().values());
        let parameters = of_it
            .filter(|each| each["operationId"] == json!(operation))
            .flat_map(|each| each["parameters"].as_array())
            .flatten();
        let named = parameters.filter(|each| each["in"] == "query").filter_map(|each| each["name"].as_str());
        let bare = path.split('?').next().unwrap_or_default();
        for name in named.chain(["limit", "offset", "stream_mode", "wait", "action", "namespace", "before"]) {
            for value in queries.iter().skip(turn % every).step_by(every) {
                let body = body.clone();
                answered(&server, &method, &format!("{bare}?{name}={value}&{name}={value}"), &[], body).await;
            }
        }
        let steps: Vec<_> = bare.split('/').collect();
        for at in 1..steps.len() {
            for value in
                ["", "x", ".", "..%2f", "%00", "%FF", "a%2Fb", "%C3%A9", "\\evil.example", "%5cevil", NOWHERE, &long]
            {
                let mut steps = steps.clone();
                steps[at] = value;
                for end in ["", "/", "//"] {
                    answered(&server, &method, &format!("{}{end}", steps.join("/")), &[], body.clone()).await;
                }
            }
        }
    }
}

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
