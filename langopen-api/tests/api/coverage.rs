//! Every operation of the OpenAPI document authenticates its caller, and shows no caller the resources of another.

use std::sync::Arc;

use async_trait::async_trait;
use langopen_core::auth::{Action, Auth, Credentials, Decision, Identity, Resource};
use langopen_core::filter::MetadataFilter;
use langopen_core::{Error, ErrorKind, Result, Tenant};
use serde_json::{Value, json};

use crate::harness::{Answer, Server, quick, server_with};

/// An authorizer that restricts every user to resources that they created.
pub(crate) struct Owners;

#[async_trait]
impl Auth for Owners {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        let user =
            credentials.header("x-user").ok_or_else(|| Error::new(ErrorKind::Unauthenticated, "test", "who?"))?;
        let (tenant, user) = (Tenant::default(), user.to_owned());
        Ok(Identity {
            tenant,
            role: None,
            permissions: Vec::new(),
            user: json!({"identity": user}).as_object().cloned(),
            identity: user,
        })
    }

    async fn authorize(&self, who: &Identity, what: Resource, action: Action, value: &mut Value) -> Result<Decision> {
        let owner = Value::from(who.identity.clone());
        match (what, action) {
            (_, Action::Create | Action::CreateRun) => value["metadata"]["owner"] = owner.clone(),
            (Resource::Store, _) => {
                let labels = value["namespace"].as_array().cloned().unwrap_or_default();
                value["namespace"] = std::iter::once(owner).chain(labels).collect();
                return Ok(Decision::Allow);
            }
            _ => {}
        }
        Ok(Decision::Filter(MetadataFilter::Equals("owner".to_owned(), owner)))
    }
}

/// Operations about the server itself, which need no authentication.
pub(crate) const OPEN: [&str; 6] = ["/", "/ok", "/info", "/docs", "/metrics", "/openapi.json"];

/// The expected answer to another user.
enum Heard {
    /// A failure with one of these statuses.
    Refusal(&'static [u16]),
    /// Exactly this body: nothing was found, or nothing was done.
    Nothing(Value),
    /// 200 with a stream that reports a missing thread and ends.
    DeniedStream,
    /// 204, but nothing of the owner's has changed.
    NoContent,
    /// The caller created a resource of their own.
    Own,
    /// 200 with an error of the protocol with this message.
    Refused(&'static str),
}

/// A request that would succeed for the owner, and the expected answer to another user.
fn row(operation: &str, ids: &Ids) -> Option<(Value, Heard)> {
    use Heard::{DeniedStream, NoContent, Nothing, Own, Refusal, Refused};
    let hidden = || Refusal(&[404]);
    let run = || json!({"assistant_id": ids.assistant, "input": {}});
    let empty = || json!({});
    Some(match operation {
        "create_assistant" => (json!({"graph_id": "echo"}), Own),
        "search_assistants" => (json!({}), Nothing(json!([]))),
        "count_assistants" => (empty(), Nothing(json!(0))),
        "get_assistant"
        | "get_assistant_graph"
        | "get_assistant_schemas"
        | "get_assistant_subgraphs"
        | "get_assistant_subgraphs_by_namespace"
        | "list_assistant_versions"
        | "patch_assistant"
        | "delete_assistant" => (empty(), hidden()),
        "set_latest_assistant_version" => (json!({"version": 1}), hidden()),
        "create_thread" => (json!({"thread_id": ids.thread, "if_exists": "do_nothing"}), Refusal(&[409])),
        "search_threads" => (empty(), Nothing(json!([]))),
        "count_threads" => (empty(), Nothing(json!(0))),
        "prune_threads" => (json!({"thread_ids": [ids.thread]}), hidden()),
        "get_thread"
        | "patch_thread"
        | "delete_thread"
        | "get_thread_state"
        | "get_thread_state_at_checkpoint"
        | "get_thread_history"
        | "get_thread_storage"
        | "post_thread_history"
        | "list_runs"
        | "get_run"
        | "delete_run"
        | "join_run"
        | "cancel_run" => (empty(), hidden()),
        "join_thread_stream" | "join_run_stream" => (empty(), DeniedStream),
        "stream_thread_events" => (json!({"channels": ["values"]}), hidden()),
        "send_thread_command" => {
            let command = json!({"id": 1, "method": "run.start", "params": run()});
            (command, Refused("404: Thread or assistant not found."))
        }
        "post_mcp" => {
            let nothing = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}});
            (json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}), Nothing(nothing))
        }
        "post_a2a" => {
            let error = json!({"code": -32602, "message": format!("Assistant '{}' not found", ids.assistant)});
            let nothing = json!({"jsonrpc": "2.0", "id": 1, "error": error});
            (json!({"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}), Nothing(nothing))
        }
        "get_mcp" => (empty(), Refusal(&[405])),
        "delete_mcp" => (empty(), Refusal(&[404])),
        "copy_thread" => (empty(), Refusal(&[409])),
        "update_thread_state" => (json!({"values": {"log": ["x"]}}), hidden()),
        "post_thread_state_at_checkpoint" => (json!({"checkpoint": {"checkpoint_id": ids.checkpoint}}), hidden()),
        "create_run" | "stream_run" | "wait_run" => (run(), hidden()),
        "create_stateless_run" | "stream_stateless_run" | "wait_stateless_run" => (run(), hidden()),
        "batch_runs" => (json!([run()]), hidden()),
        "cancel_runs" => (json!({"thread_id": ids.thread, "run_ids": [ids.run]}), hidden()),
        "create_thread_cron" | "create_cron" => {
            (json!({"assistant_id": ids.assistant, "schedule": "* * * * *"}), hidden())
        }
        "search_crons" => (empty(), Nothing(json!([]))),
        "count_crons" => (empty(), Nothing(json!(0))),
        "get_cron" | "delete_cron" => (empty(), hidden()),
        "patch_cron" => (json!({"enabled": false}), hidden()),
        "put_item" => (json!({"namespace": ["n"], "key": "k", "value": {"a": 2}}), NoContent),
        "get_item" => (empty(), Nothing(Value::Null)),
        "delete_item" => (json!({"namespace": ["n"], "key": "k"}), NoContent),
        "search_items" => (empty(), Nothing(json!({"items": []}))),
        "list_namespaces" => (empty(), Nothing(json!({"namespaces": []}))),
        _ => return None,
    })
}

/// The body of a request that would succeed for the owner.
pub(crate) fn body_of(operation: &str, ids: &Ids) -> Value {
    row(operation, ids).map(|(body, _)| body).unwrap_or_default()
}

/// The ids of alice's resources.
pub(crate) struct Ids {
    pub(crate) assistant: String,
    pub(crate) thread: String,
    run: String,
    checkpoint: String,
    cron: String,
}

async fn by(server: &Server, user: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
    let headers: Vec<_> = user.map(|user| ("x-user", user)).into_iter().collect();
    server.send(method, path, &headers, body.to_string()).await
}

pub(crate) async fn server_of_alice() -> (Server, Ids) {
    let server = server_with(|server| server.with_settings(quick()).with_auth(Arc::new(Owners))).await;
    let alice = async |method: &str, path: &str, body: Value| by(&server, Some("alice"), method, path, &body).await;
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    let assistant = text(&alice("POST", "/assistants", json!({"graph_id": "echo"})).await.ok(), "assistant_id");
    let thread = text(&alice("POST", "/threads", json!({})).await.ok(), "thread_id");
    let path = format!("/threads/{thread}");
    let run = json!({"assistant_id": assistant, "input": {}});
    alice("POST", &format!("{path}/runs/wait"), run).await.ok();
    let run = text(&alice("GET", &format!("{path}/runs"), json!({})).await.ok()[0], "run_id");
    let checkpoint = text(&alice("GET", &format!("{path}/state"), json!({})).await.ok(), "checkpoint_id");
    let cron = json!({"assistant_id": assistant, "schedule": "0 0 1 1 *"});
    let cron = text(&alice("POST", "/runs/crons", cron).await.ok(), "cron_id");
    let item = json!({"namespace": ["n"], "key": "k", "value": {"a": 1}});
    assert_eq!(alice("PUT", "/store/items", item).await.status, 204);
    (server, Ids { assistant, thread, run, checkpoint, cron })
}

/// Every operation: its method, its path with alice's ids, and its operation id.
pub(crate) async fn operations(server: &Server, ids: &Ids) -> Vec<(String, String, String)> {
    let document = server.get("/openapi.json").await.ok();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if OPEN.contains(&path.as_str()) {
            continue;
        }
        let mut filled = path
            .replace("{assistant_id}", &ids.assistant)
            .replace("{thread_id}", &ids.thread)
            .replace("{run_id}", &ids.run)
            .replace("{checkpoint_id}", &ids.checkpoint)
            .replace("{cron_id}", &ids.cron)
            .replace("{namespace}", "n");
        assert!(!filled.contains('{'), "{path} names something that this test does not know");
        if filled == "/store/items" {
            filled.push_str("?namespace=n&key=k");
        }
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            operations.push((method.to_uppercase(), filled.clone(), id.to_owned()));
        }
    }
    operations
}

#[tokio::test]
async fn every_operation_authenticates() {
    let (server, ids) = server_of_alice().await;
    for (method, path, operation) in operations(&server, &ids).await {
        let body = row(&operation, &ids).map(|(body, _)| body).unwrap_or_default();
        for body in [body, Value::Null] {
            let answer = by(&server, None, &method, &path, &body).await;
            assert_eq!(
                (answer.status.as_u16(), answer.detail().as_str()),
                (401, "who?"),
                "{operation}: {method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn no_operation_shows_or_changes_resources_of_others() {
    let (server, ids) = server_of_alice().await;
    let paths = [
        format!("/assistants/{}", ids.assistant),
        format!("/threads/{}", ids.thread),
        format!("/threads/{}/runs", ids.thread),
        format!("/threads/{}/state", ids.thread),
        "/store/items?namespace=n&key=k".to_owned(),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(by(&server, Some("alice"), "GET", path, &json!({})).await.ok());
    }
    for (method, path, operation) in operations(&server, &ids).await {
        let (body, heard) = row(&operation, &ids).unwrap_or_else(|| {
            panic!("{operation} ({method} {path}) is new: add the expected answer for another user to `row`")
        });
        let answer = by(&server, Some("bob"), &method, &path, &body).await;
        let status = answer.status.as_u16();
        match heard {
            Heard::Refusal(statuses) => assert!(statuses.contains(&status), "{operation}: {status} {}", answer.text),
            Heard::Nothing(nothing) => assert_eq!(answer.ok(), nothing, "{operation}"),
            Heard::DeniedStream => {
                let denied = r#"{"error":"HTTPException","message":"404: Thread not found"}"#;
                assert_eq!(
                    (status, answer.text),
                    (200, format!("event: error\r\ndata: {denied}\r\n\r\n")),
                    "{operation}"
                );
            }
            Heard::Refused(message) => {
                let reply = answer.ok();
                assert_eq!((&reply["type"], &reply["message"]), (&json!("error"), &json!(message)), "{operation}");
            }
            Heard::NoContent => assert_eq!(status, 204, "{operation}"),
            Heard::Own => assert!(answer.text.contains(r#""owner":"bob""#), "{operation}: {}", answer.text),
        }
        for (path, before) in paths.iter().zip(&before) {
            let now = by(&server, Some("alice"), "GET", path, &json!({})).await.ok();
            assert_eq!(&now, before, "{operation} changed what {path} shows to its owner");
        }
        // Remove bob's own resources: they must not help him with the next operation, nor hide that it finds too much.
        for made in by(&server, Some("bob"), "POST", "/assistants/search", &json!({})).await.ok().as_array().unwrap() {
            let path = format!("/assistants/{}", made["assistant_id"].as_str().unwrap());
            assert_eq!(by(&server, Some("bob"), "DELETE", &path, &json!({})).await.status, 204);
        }
        let item = json!({"namespace": ["n"], "key": "k"});
        assert_eq!(by(&server, Some("bob"), "DELETE", "/store/items", &item).await.status, 204);
    }
}
