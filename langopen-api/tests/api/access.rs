//! Access control with an authorizer that restricts every user to their own resources.

use std::sync::Arc;

use async_trait::async_trait;
use langopen_core::auth::{Action, Auth, Credentials, Decision, Identity, Resource};
use langopen_core::filter::MetadataFilter;
use langopen_core::{AssistantId, Error, ErrorKind, Result, Tenant};
use serde_json::{Value, json};

use crate::harness::{Answer, Server, quick, server_with};

struct Owners;

#[async_trait]
impl Auth for Owners {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        let token = credentials.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some(user) = token else { return Err(Error::new(ErrorKind::Unauthenticated, "test", "No token")) };
        if user == "forbidden" {
            return Err(Error::new(ErrorKind::Forbidden, "test", "Nope"));
        }
        if user == "crash" {
            return Err(Error::internal("test", "a secret"));
        }
        Ok(Identity {
            tenant: Tenant::default(),
            identity: user.to_owned(),
            role: None,
            permissions: vec!["p1".to_owned()],
            user: json!({"identity": user}).as_object().cloned(),
        })
    }

    async fn authorize(&self, who: &Identity, what: Resource, action: Action, value: &mut Value) -> Result<Decision> {
        let owner = Value::from(who.identity.clone());
        match (what, action) {
            (Resource::Assistants, _) => return Ok(Decision::Allow),
            (Resource::Store, _) => {
                let labels = value["namespace"].as_array().cloned().unwrap_or_default();
                value["namespace"] = std::iter::once(owner).chain(labels).collect();
                return Ok(Decision::Allow);
            }
            (Resource::Threads, Action::Create | Action::CreateRun) => {
                if value["metadata"]["deny"] == true {
                    return Ok(Decision::Deny);
                }
                value["metadata"]["owner"] = owner.clone();
            }
            _ => {}
        }
        Ok(Decision::Filter(MetadataFilter::Equals("owner".to_owned(), owner)))
    }
}

async fn server() -> Server {
    server_with(|server| server.with_settings(quick()).with_auth(Arc::new(Owners))).await
}

async fn by(server: &Server, user: &str, method: &str, path: &str, body: Value) -> Answer {
    let token = format!("Bearer {user}");
    server.send(method, path, &[("authorization", token.as_str())], body.to_string()).await
}

#[tokio::test]
async fn callers_are_authenticated() {
    let server = server().await;
    let answer = server.post("/threads", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (401, r#"{"detail":"No token"}"#));
    let answer = by(&server, "forbidden", "POST", "/threads", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (403, r#"{"detail":"Nope"}"#));
    let answer = by(&server, "crash", "POST", "/threads", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (500, "Internal Server Error"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let answer = by(&server, "alice", "POST", "/threads", json!({"metadata": {"deny": true}})).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (403, r#"{"detail":"Forbidden"}"#));
    for open in ["/", "/ok", "/info", "/docs", "/openapi.json"] {
        assert_eq!(server.get(open).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn the_resources_of_others_are_hidden() {
    let server = server().await;
    let thread = by(&server, "alice", "POST", "/threads", json!({})).await.ok();
    assert_eq!(thread["metadata"], json!({"owner": "alice"}));
    let id = thread["thread_id"].as_str().unwrap();
    let path = format!("/threads/{id}");
    let run = json!({"assistant_id": "echo", "input": {}});
    by(&server, "alice", "POST", &format!("{path}/runs/wait"), run.clone()).await.ok();

    for (method, end, body, status) in [
        ("GET", "", json!({}), 404),
        ("PATCH", "", json!({"metadata": {}}), 404),
        ("DELETE", "", json!({}), 404),
        ("GET", "/state", json!({}), 404),
        ("POST", "/state", json!({"values": {}}), 404),
        ("GET", "/history", json!({}), 404),
        ("GET", "/runs", json!({}), 404),
        ("POST", "/runs/wait", run, 404),
        ("POST", "/copy", json!({}), 409),
    ] {
        let answer = by(&server, "bob", method, &format!("{path}{end}"), body).await;
        assert_eq!(answer.status, status, "{method} {end}: {}", answer.text);
    }
    let taken = by(&server, "bob", "POST", "/threads", json!({"thread_id": id, "if_exists": "do_nothing"})).await;
    assert_eq!(taken.status, 409);
    assert_eq!(by(&server, "bob", "POST", "/threads/search", json!({})).await.ok(), json!([]));
    assert_eq!(by(&server, "alice", "GET", &path, json!({})).await.status, 200);
}

#[tokio::test]
async fn graphs_see_the_user_and_kept_threads_belong_to_it() {
    let server = server().await;
    let body = json!({"assistant_id": "echo", "input": {}, "on_completion": "keep"});
    let answer = by(&server, "alice", "POST", "/runs/wait", body).await;
    let thread = answer.header("content-location").rsplit_once("/runs").unwrap().0.to_owned();
    let seen = answer.ok()["seen"].clone();
    assert_eq!(seen["langgraph_auth_user"], json!({"identity": "alice"}));
    assert_eq!((&seen["user_id"], &seen["langgraph_auth_permissions"]), (&json!("alice"), &json!(["p1"])));
    assert_eq!(by(&server, "alice", "GET", &thread, json!({})).await.ok()["metadata"]["owner"], "alice");
    assert_eq!(by(&server, "bob", "GET", &thread, json!({})).await.status, 404);
    let body = json!({"assistant_id": "echo", "input": {}, "on_completion": "keep", "metadata": {"owner": "alice"}});
    let answer = by(&server, "alice", "POST", "/runs/wait", body).await;
    let thread = answer.header("content-location").rsplit_once("/runs").unwrap().0.to_owned();
    assert_eq!(by(&server, "alice", "GET", &thread, json!({})).await.ok()["metadata"]["owner"], "alice");
}

#[tokio::test]
async fn namespaces_are_rewritten() {
    let server = server().await;
    let put = json!({"namespace": ["n"], "key": "k", "value": {"a": 1}});
    assert_eq!(by(&server, "alice", "PUT", "/store/items", put.clone()).await.status, 204);
    let item = by(&server, "alice", "GET", "/store/items?namespace=n&key=k", json!({})).await.ok();
    assert_eq!(item["namespace"], json!(["alice", "n"]));
    assert_eq!(by(&server, "bob", "GET", "/store/items?namespace=n&key=k", json!({})).await.text, "null");
    assert_eq!(by(&server, "bob", "POST", "/store/items/search", json!({})).await.text, r#"{"items":[]}"#);
    assert_eq!(by(&server, "a.b", "PUT", "/store/items", put).await.status, 422);
}

/// The handler of LangGraph's documentation: one handler for all resources. It writes an owner into the metadata and
/// filters by it.
struct OneHandler;

#[async_trait]
impl Auth for OneHandler {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        Owners.authenticate(credentials).await
    }

    async fn authorize(&self, who: &Identity, what: Resource, _: Action, value: &mut Value) -> Result<Decision> {
        if who.identity == "nobody" && what == Resource::Assistants {
            return Ok(Decision::Deny);
        }
        let owner = Value::from(who.identity.clone());
        value["metadata"]["owner"] = owner.clone();
        Ok(Decision::Filter(MetadataFilter::Equals("owner".to_owned(), owner)))
    }
}

#[tokio::test]
async fn system_assistants_are_shared_and_others_are_private() {
    let server = server_with(|server| server.with_settings(quick()).with_auth(Arc::new(OneHandler))).await;
    let system = AssistantId::system("echo").to_string();
    let mine =
        by(&server, "alice", "POST", "/assistants", json!({"graph_id": "echo"})).await.ok()["assistant_id"].clone();
    let mine = mine.as_str().unwrap();
    assert_eq!(
        by(&server, "alice", "GET", &format!("/assistants/{system}"), json!({})).await.status,
        404,
        "reads are filtered"
    );
    for (user, assistant, status) in [
        ("alice", "echo", 200),
        ("alice", system.as_str(), 200),
        ("alice", mine, 200),
        ("bob", "echo", 200),
        ("bob", mine, 404),
        ("nobody", "echo", 200),
        ("nobody", mine, 403),
    ] {
        let thread = by(&server, user, "POST", "/threads", json!({})).await.ok()["thread_id"].clone();
        let at = format!("/threads/{}/runs", thread.as_str().unwrap());
        let run = json!({"assistant_id": assistant, "input": {}});
        let cron = json!({"assistant_id": assistant, "schedule": "0 0 1 1 *"});
        for (path, body) in [
            (format!("{at}/wait"), run.clone()),
            (format!("{at}/stream"), run.clone()),
            (at.clone(), run.clone()),
            ("/runs/wait".to_owned(), run.clone()),
            ("/runs/batch".to_owned(), json!([run])),
            ("/runs/crons".to_owned(), cron.clone()),
            (format!("{at}/crons"), cron),
        ] {
            let answer = by(&server, user, "POST", &path, body).await;
            assert_eq!(answer.status, status, "{user} runs {assistant} by {path}: {}", answer.text);
        }
    }
    let unknown = by(&server, "nobody", "POST", "/runs/wait", json!({"assistant_id": "nope"})).await;
    assert_eq!(unknown.status, 422, "{}", unknown.text);
}

#[tokio::test]
async fn a_filter_on_the_store_narrows_searches_alone() {
    let server = server_with(|server| server.with_settings(quick()).with_auth(Arc::new(OneHandler))).await;
    for (key, value) in [("plain", json!({"a": 1})), ("owned", json!({"owner": "alice"}))] {
        let put = json!({"namespace": ["n"], "key": key, "value": value});
        assert_eq!(by(&server, "alice", "PUT", "/store/items", put).await.status, 204);
        let got = by(&server, "alice", "GET", &format!("/store/items?namespace=n&key={key}"), json!({})).await.ok();
        assert_eq!(got["value"], value);
    }
    let found = by(&server, "alice", "POST", "/store/items/search", json!({"namespace_prefix": ["n"]})).await.ok();
    let keys: Vec<_> = found["items"].as_array().unwrap().iter().map(|item| item["key"].clone()).collect();
    assert_eq!(keys, ["owned"]);
    let spaces = by(&server, "alice", "POST", "/store/namespaces", json!({})).await.ok();
    assert_eq!(spaces, json!({"namespaces": [["n"]]}));
    let delete = json!({"namespace": ["n"], "key": "plain"});
    assert_eq!(by(&server, "alice", "DELETE", "/store/items", delete).await.status, 204);
    assert_eq!(by(&server, "alice", "GET", "/store/items?namespace=n&key=plain", json!({})).await.text, "null");
}
