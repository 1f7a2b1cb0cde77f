//! Every refusal, as a table of the request, the status and the detail.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::{NOWHERE, quick, server, server_with};

const BOTH: &str = "Cannot specify both configurable and context. Prefer setting context alone. Context was introduced in \
                    LangGraph 0.6.0 and is the long term planned replacement for configurable.";

#[tokio::test]
async fn bodies_are_checked_field_by_field() {
    let server = server().await;
    let thread = server.thread().await;
    let runs = format!("/threads/{thread}/runs");
    let wait = format!("{runs}/wait");
    let state = format!("/threads/{thread}/state");
    let history = format!("/threads/{thread}/history");
    let run = |extra: Value| {
        let mut body = json!({"assistant_id": "echo"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let table = [
        ("/assistants", json!({}), 422, "\"graph_id\" is a required property"),
        ("/assistants", json!({"graph_id": 1}), 422, "graph_id: invalid type: integer `1`, expected a string"),
        (
            "/assistants",
            json!({"graph_id": "nope"}),
            404,
            "Graph 'nope' not found. Expected one of: ['echo', 'fail', 'slow']",
        ),
        ("/assistants", json!({"graph_id": "echo", "assistant_id": "x"}), 422, "Invalid assistant ID: must be a UUID"),
        (
            "/assistants",
            json!({"graph_id": "echo", "config": []}),
            422,
            "config: invalid type: array, expected an object",
        ),
        (
            "/assistants",
            json!({"graph_id": "echo", "config": {"tags": "a"}}),
            422,
            "config: tags must be an array of strings, got \"a\"",
        ),
        (
            "/assistants",
            json!({"graph_id": "echo", "if_exists": "x"}),
            422,
            "if_exists: unknown variant `x`, expected `raise` or `do_nothing`",
        ),
        (
            "/assistants",
            json!({"graph_id": "echo", "config": {"configurable": {"a": 1}}, "context": {"b": 1}}),
            400,
            BOTH,
        ),
        ("/assistants/search", json!({"limit": 0}), 422, "limit: 0 is less than the minimum of 1"),
        ("/assistants/search", json!({"limit": 1001}), 422, "limit: 1001 is greater than the maximum of 1000"),
        ("/assistants/search", json!({"offset": -1}), 422, "offset: -1 is less than the minimum of 0"),
        ("/assistants/search", json!({"graph_id": "nope"}), 404, "Graph 'nope' not found."),
        ("/assistants/search", json!({"select": ["bad"]}), 422, "select: \"bad\" is not one of assistant_id"),
        ("/assistants/search", json!([]), 422, "invalid type: array, expected an object"),
        ("/threads", json!([]), 422, "invalid type: array, expected an object"),
        ("/threads", json!({"ttl": []}), 422, "ttl: expected an object, got []"),
        ("/threads", json!({"thread_id": "zz"}), 422, "Invalid thread ID: must be a UUID"),
        ("/threads", json!({"ttl": {"strategy": "delete"}}), 422, "ttl: \"ttl\" is a required property"),
        ("/threads", json!({"ttl": {"ttl": 5, "strategy": "x"}}), 422, "ttl: unknown variant `x`"),
        ("/threads", json!({"ttl": {"ttl": 1e300}}), 422, "ttl.ttl: "),
        ("/threads/prune", json!({}), 422, "\"thread_ids\" is a required property"),
        ("/threads/prune", json!({"thread_ids": ["zz"]}), 422, "Invalid thread ID: must be a UUID"),
        ("/threads/prune", json!({"thread_ids": [], "strategy": "x"}), 422, "strategy: unknown variant `x`"),
        ("/threads", json!({"ttl": {"ttl": 0}}), 422, "ttl.ttl: 0 is not greater than 0"),
        ("/threads", json!({"metadata": "x"}), 422, "metadata: invalid type: string \"x\", expected an object"),
        (
            "/threads",
            json!({"supersteps": [{"updates": [{}]}]}),
            422,
            "\"as_node\" is a required property of supersteps",
        ),
        ("/threads", json!({"metadata": null}), 422, "metadata: invalid type: null, expected an object"),
        ("/assistants", json!({"graph_id": "echo", "config": null}), 422, "config: invalid type: null"),
        ("/assistants/search", json!({"metadata": null}), 422, "metadata: invalid type: null"),
        (
            "/threads/search",
            json!({"limit": 1e30}),
            422,
            "limit: invalid type: floating point `1e+30`, expected an integer",
        ),
        ("/threads", json!({"if_exists": 5}), 422, "if_exists: expected a string"),
        ("/threads/search", json!({"ids": {}}), 422, "ids: invalid type: object, expected an array"),
        (&runs, run(json!({"context": null})), 422, "context: invalid type: null, expected an object"),
        ("/threads/search", json!({"status": "bogus"}), 422, "status: unknown variant `bogus`"),
        ("/threads/search", json!({"ids": ["x"]}), 422, "Invalid thread ID: must be a UUID"),
        (
            "/threads/search",
            json!({"extract": {"thread_id": "values.x"}}),
            422,
            "Extract keys cannot use reserved field names: ['thread_id']",
        ),
        (
            "/threads/search",
            json!({"extract": {"a": "foo.x"}}),
            422,
            "Extract path 'foo.x' must start with one of: config, interrupts, metadata, values",
        ),
        (&*runs, json!({"input": {}}), 422, "\"assistant_id\" is a required property"),
        (
            &runs,
            run(json!({"assistant_id": "nope"})),
            422,
            "Invalid assistant: 'nope'. Must be either:\n- A valid assistant UUID, or\n- One of the registered graphs: echo, fail, slow",
        ),
        (&runs, run(json!({"assistant_id": NOWHERE})), 404, "Thread or assistant not found."),
        (&runs, run(json!({"multitask_strategy": "bogus"})), 422, "multitask_strategy: unknown variant `bogus`"),
        (&runs, run(json!({"stream_mode": "tools"})), 422, "stream_mode: unknown variant `tools`"),
        (&runs, run(json!({"stream_mode": ["values", 1]})), 422, "stream_mode: invalid type: integer `1`"),
        (&runs, run(json!({"interrupt_before": "x"})), 422, "interrupt_before: expected \"*\" or an array of strings"),
        (
            &runs,
            run(json!({"command": {"goto": ["a", {"node": "b", "input": 1}]}})),
            422,
            "command: goto must be a node",
        ),
        (&runs, run(json!({"command": {"update": 1}})), 422, "command: update must be"),
        (&runs, run(json!({"command": []})), 422, "command: expected an object, got []"),
        (&runs, run(json!({"config": {"recursion_limit": "x"}})), 422, "config: recursion_limit must be an integer"),
        (&runs, run(json!({"config": {"configurable": {"a": 1}}, "context": {"b": 1}})), 400, BOTH),
        (
            &runs,
            run(json!({"webhook": "http://x/"})),
            422,
            "webhook: this server delivers no webhooks; leave the field out",
        ),
        (&runs, run(json!({"webhook": ""})), 422, "webhook: must have 1 to 65536 characters"),
        (&runs, run(json!({"after_seconds": "x"})), 422, "after_seconds: "),
        (&runs, run(json!({"durability": "x"})), 422, "durability: unknown variant `x`"),
        (&runs, run(json!({"if_not_exists": "x"})), 422, "if_not_exists: unknown variant `x`"),
        (&runs, run(json!({"checkpoint": {"checkpoint_id": "bad"}})), 422, "Invalid checkpoint ID"),
        (&wait, run(json!({"checkpoint_id": "bad"})), 422, "Invalid checkpoint ID"),
        (&wait, run(json!({"on_disconnect": "x"})), 422, "on_disconnect: unknown variant `x`"),
        (&format!("/threads/{NOWHERE}/runs/wait"), run(json!({})), 404, "Thread or assistant not found."),
        ("/threads/zzz/runs", run(json!({})), 422, "Invalid thread ID"),
        ("/runs/wait", run(json!({"command": {"resume": null}})), 400, "You must provide a thread_id when resuming."),
        ("/runs/stream", run(json!({"on_completion": "x"})), 422, "on_completion: unknown variant `x`"),
        ("/runs/batch", json!([]), 422, "[] has less than 1 item"),
        ("/runs/batch", json!([{"assistant_id": "echo"}, {}]), 422, "\"assistant_id\" is a required property of [1]"),
        ("/runs/batch", json!([{"assistant_id": NOWHERE}]), 404, "Thread or assistant not found."),
        ("/runs/cancel", json!({}), 422, "Either 'status', or 'thread_id' and 'run_ids' must be given"),
        ("/runs/cancel", json!({"status": "all", "thread_id": thread}), 422, "When providing a 'status'"),
        ("/runs/cancel", json!({"status": "done"}), 422, "status: unknown variant `done`"),
        ("/runs/cancel", json!({"status": "all"}), 404, "No runs found to cancel."),
        ("/runs/cancel", json!({"thread_id": thread, "run_ids": []}), 404, "No runs found to cancel."),
        (&state, json!({"values": {"a": 1}}), 400, "has no assigned graph ID"),
        (&state, json!({"values": "x"}), 422, "values: expected an object, an array or null, got \"x\""),
        (&format!("{state}/checkpoint"), json!({}), 422, "\"checkpoint\" is a required property"),
        (&history, json!({"limit": 0}), 422, "limit: 0 is less than the minimum of 1"),
        (&format!("/threads/{NOWHERE}/copy"), json!({}), 409, "Conflict"),
        ("/store/items/search", json!({"filter": {"n": {"$in": [1]}}}), 422, "filter.n: $in is not one of"),
    ];
    for (path, body, status, detail) in table {
        let answer = server.post(path, body.clone()).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.detail().contains(detail), "{path} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn invalid_json_is_refused() {
    let server = server().await;
    let deep = format!("{{\"input\":{}1{}}}", "[".repeat(130), "]".repeat(130));
    let large = format!("\"{}\"", "x".repeat(200_000));
    for (body, status, detail) in [
        (&b""[..], 422, "Invalid JSON in request body"),
        (b"{bad", 422, "Invalid JSON in request body"),
        (b"{\"metadata\":{}} x", 422, "Invalid JSON in request body"),
        (b"\"\xff\"", 422, "Invalid JSON in request body"),
        (br#"{"metadata":{"a":"\ud800"}}"#, 422, "a surrogate without its pair"),
        (deep.as_bytes(), 422, "it nests too deeply"),
        (large.as_bytes(), 413, "Request body exceeds 100000 bytes"),
        (b"{\"metadata\":{\"a\":1e999}}", 422, "metadata.a: number out of range: 1e999"),
        (b"null", 422, "invalid type: null"),
    ] {
        let answer = server.send("POST", "/threads", &[], body.to_vec()).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.detail().contains(detail), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_sender_that_falls_silent_is_given_up() {
    let settings = quick().with_body_timeout(Duration::from_millis(50));
    let server = server_with(|server| server.with_settings(settings)).await;
    let beginning = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{\"metadata\":")) });
    let body = Body::from_stream(beginning.chain(futures::stream::pending()));
    let answer = server.send("POST", "/threads", &[], body).await;
    assert_eq!((answer.status.as_u16(), &*answer.detail()), (408, "The request body did not arrive in time"));

    let broken =
        Body::from_stream(futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]));
    assert_eq!(server.send("POST", "/threads", &[], broken).await.status, 400);
}

#[tokio::test]
async fn paths_and_methods_are_checked() {
    let server = server().await;
    let thread = server.thread().await;
    for (method, path, status, detail) in [
        ("GET", "/nope", 404, "Not Found"),
        ("GET", "/threads/abc", 422, "Invalid thread ID: must be a UUID"),
        ("GET", &format!("/threads/{NOWHERE}"), 404, "Thread with ID 00000000-0000-4000-8000-000000000000 not found"),
        (
            "DELETE",
            &format!("/threads/{NOWHERE}"),
            404,
            "Thread with ID 00000000-0000-4000-8000-000000000000 not found",
        ),
        ("GET", &format!("/threads/{NOWHERE}/state"), 404, "Thread with ID"),
        ("GET", &format!("/threads/{NOWHERE}/state/x"), 404, "Thread with ID"),
        ("GET", &format!("/threads/{NOWHERE}/history"), 404, "Thread with ID"),
        ("GET", &format!("/threads/{thread}/history?limit=abc"), 422, "Invalid limit abc"),
        ("GET", &format!("/threads/{NOWHERE}/runs"), 404, "Thread with ID"),
        ("GET", &format!("/threads/{thread}/runs?limit=abc"), 422, "Invalid limit abc"),
        ("GET", &format!("/threads/{thread}/runs?select=x"), 422, "select: \"x\" is not one of"),
        ("GET", &format!("/threads/{thread}/runs/abc"), 422, "Invalid run ID: must be a UUID"),
        ("GET", &format!("/threads/{thread}/runs/{NOWHERE}"), 404, "Not Found"),
        ("DELETE", &format!("/threads/{thread}/runs/{NOWHERE}"), 404, "Run not found"),
        ("GET", &format!("/threads/{thread}/runs/{NOWHERE}/join"), 404, "Run not found"),
        ("POST", &format!("/threads/{thread}/runs/{NOWHERE}/cancel"), 404, "No runs found to cancel."),
        ("GET", "/assistants/echo", 422, "Invalid assistant ID: must be a UUID"),
        ("GET", "/assistants/echo/schemas", 422, "Invalid assistant ID: must be a UUID"),
        ("GET", &format!("/assistants/{NOWHERE}"), 404, "Not Found"),
        ("DELETE", &format!("/assistants/{NOWHERE}"), 404, &format!("Assistant with ID {NOWHERE} not found")),
        ("GET", &format!("/assistants/{NOWHERE}/graph"), 404, "Not Found"),
        ("GET", "/assistants/echo/graph?xray=0", 422, "Invalid xray value"),
        ("GET", "/assistants/nope/graph", 422, "Invalid assistant ID: must be a UUID"),
        ("PUT", "/threads", 405, "Method Not Allowed"),
    ] {
        let answer = server.send(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert!(answer.detail().contains(detail), "{method} {path}: {}", answer.text);
        assert_eq!(answer.status == 405, answer.headers.contains_key("allow"), "{path}");
    }
    let answer = server.send("PATCH", &format!("/threads/{NOWHERE}"), &[], r#"{"metadata":{}}"#).await;
    assert_eq!((answer.status.as_u16(), answer.detail()), (404, "Not Found".to_owned()));

    let answer = server.send("POST", "/threads/?a=b", &[], "{}").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (307, "/threads?a=b"));
}

#[tokio::test]
async fn the_last_of_two_equal_keys_wins() {
    let server = server().await;
    let body = r#"{"metadata": {"a": 1}, "if_exists": 5, "if_exists": "raise", "metadata": {"b": 1, "b": 2}}"#;
    let thread = server.send("POST", "/threads", &[], body).await.ok();
    assert_eq!(thread["metadata"], json!({"b": 2}));
    let bad = server.send("POST", "/threads", &[], r#"{"metadata": {}, "metadata": 1}"#).await;
    assert_eq!((bad.status.as_u16(), &*bad.detail()), (422, "metadata: invalid type: integer `1`, expected an object"));
    // Null counts as absent in these fields.
    let thread = server.post("/threads", json!({"thread_id": null, "if_exists": null, "ttl": null})).await.ok();
    assert_eq!(thread["status"], "idle");
}
