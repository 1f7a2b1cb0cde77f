//! The Agent2Agent protocol: agent cards, and the permission to call agents.

use std::sync::Arc;

use langopen_api::Features;
use langopen_core::AssistantId;
use langopen_core::auth::{ApiKey, ApiKeyAuth, ApiKeyRecord, Role};
use serde_json::{Value, json};

use crate::a2a::{agents, chatty, path, say};
use crate::coverage::Owners;
use crate::harness::{NOWHERE, quick, server_of};

#[tokio::test]
async fn a_card_has_the_agents_url_in_both_dialects() {
    let server = agents().await;
    let card = server.send("GET", &path("chat"), &[("host", "agents.example")], "").await.ok();
    let url = format!("http://agents.example{}", path("chat"));
    assert_eq!((&card["name"], &card["url"]), (&json!("chat"), &json!(url)));
    assert_eq!((&card["protocolVersion"], &card["preferredTransport"]), (&json!("0.3.0"), &json!("JSONRPC")));
    let interface = json!({"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"});
    assert_eq!(card["supportedInterfaces"][0], interface);
    assert_eq!(card["capabilities"]["streaming"], true);
    assert_eq!(card["capabilities"]["extensions"][0]["params"]["header"], "LangGraph-A2A-History-Scope");
    let id = AssistantId::system("chat");
    assert_eq!(card["skills"][0]["id"], format!("{id}-main"));
    let same = [
        format!("{}/.well-known/agent-card.json", path("chat")),
        format!("{}/.well-known/agent.json", path("chat")),
        format!("/.well-known/agent-card.json?assistant_id={id}"),
    ];
    for path in &same {
        assert_eq!(server.send("GET", path, &[("host", "agents.example")], "").await.ok(), card, "{path}");
    }
    let secure = [("host", "agents.example"), ("x-forwarded-proto", "https, http")];
    let secure = server.send("GET", &path("chat"), &secure, "").await.ok();
    assert_eq!(secure["url"], url.replace("http:", "https:"));
    let odd = [("host", "agents.example"), ("x-forwarded-proto", "javascript")];
    assert_eq!(server.send("GET", &path("chat"), &odd, "").await.ok()["url"], url);
    let extended = json!({"jsonrpc": "2.0", "id": 1, "method": "GetExtendedAgentCard"}).to_string();
    let extended = server.send("POST", &path("chat"), &[("host", "agents.example")], extended).await.ok();
    assert_eq!(extended["result"], card);
}

#[tokio::test]
async fn a_missing_card_is_reported() {
    let server = agents().await;
    let refused = async |path: &str| {
        let answer = server.get(path).await;
        (answer.status.as_u16(), answer.json()["error"].clone())
    };
    let error = |message: &str| json!({"code": -32602, "message": message});
    let missing = error("Missing required query parameter: assistant_id");
    assert_eq!(refused("/.well-known/agent-card.json").await, (400, missing));
    assert_eq!(refused("/a2a/chat").await, (400, error("Invalid assistant ID: must be a UUID")));
    let unknown = format!("Assistant '{NOWHERE}' not found");
    assert_eq!(refused(&format!("/a2a/{NOWHERE}")).await, (404, error(&unknown)));
    assert_eq!(server.send("DELETE", &path("chat"), &[], "").await.status, 404);
}

#[tokio::test]
async fn settings_and_metadata_shape_cards() {
    let settings = quick()
        .with_mount_prefix(Some("/agents".to_owned()))
        .with_default_a2a_assistant(Some(AssistantId::system("chat").to_string()));
    let server = server_of(chatty(), |server| server.with_settings(settings)).await;
    let card = server.send("GET", "/agents/.well-known/agent-card.json", &[("host", "a")], "").await.ok();
    assert_eq!(card["url"], format!("http://a/agents{}", path("chat")));
    let modes = json!({"defaultInputModes": ["image/png"], "default_output_modes": ["text/markdown"]});
    let new = json!({"graph_id": "chat", "name": "Painter", "description": "Paints", "metadata": {"a2a": modes}});
    let painter = server.post("/agents/assistants", new).await.ok();
    let card = server.get(&format!("/agents/a2a/{}", painter["assistant_id"].as_str().unwrap())).await.ok();
    assert_eq!((&card["name"], &card["description"]), (&json!("Painter"), &json!("Paints")));
    assert_eq!(
        (&card["defaultInputModes"], &card["skills"][0]["outputModes"]),
        (&json!(["image/png"]), &json!(["text/markdown"]))
    );

    let features = Features { a2a: false, ..Features::default() };
    let without = server_of(chatty(), |server| server.with_settings(quick().with_features(features))).await;
    for path in [path("chat"), "/.well-known/agent-card.json".to_owned()] {
        assert_eq!(without.get(&path).await.detail(), "Not Found", "{path}");
    }
}

#[tokio::test]
async fn a_viewer_reads_and_sends_nothing() {
    let keys = [Role::Viewer, Role::Developer].map(|role| (role, ApiKey::generate().unwrap()));
    let record = |(role, key): &(Role, ApiKey)| ApiKeyRecord {
        name: role.to_string(),
        hash: key.hash(),
        identity: None,
        tenant: None,
        role: Some(*role),
        permissions: Vec::new(),
    };
    let auth = Arc::new(ApiKeyAuth::new(keys.iter().map(record).collect()));
    let server = server_of(chatty(), |server| server.with_settings(quick()).with_auth(auth)).await;
    let ask = async |key: &ApiKey, method: &str, params: Value| {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        server.send("POST", &path("chat"), &[("x-api-key", key.expose())], request).await.ok()
    };
    let [(_, viewer), (_, developer)] = &keys;
    let refused = ask(viewer, "message/send", say("m", "hi", json!({}))).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("needs the role developer"), "{refused}");
    let task = ask(developer, "message/send", say("m", "hi", json!({}))).await["result"].clone();
    let read = ask(viewer, "tasks/get", json!({"id": task["id"]})).await;
    assert_eq!(read["result"]["status"]["state"], "completed");
    let refused = ask(viewer, "tasks/cancel", json!({"id": task["id"]})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("needs the role developer"), "{refused}");
    let card = server.send("GET", &path("chat"), &[("x-api-key", viewer.expose())], "").await;
    assert_eq!((card.status.as_u16(), server.get(&path("chat")).await.status.as_u16()), (200, 401));
}

#[tokio::test]
async fn users_see_only_their_own_tasks() {
    let server = server_of(chatty(), |server| server.with_settings(quick()).with_auth(Arc::new(Owners))).await;
    let by = |user: &'static str| [("x-user", user)];
    let new = json!({"graph_id": "chat"}).to_string();
    let mut agents = Vec::new();
    for user in ["alice", "bob"] {
        let made = server.send("POST", "/assistants", &by(user), new.clone()).await.ok();
        agents.push(made["assistant_id"].as_str().unwrap().to_owned());
    }
    let ask = async |user: &'static str, agent: &str, method: &str, params: Value| {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        server.send("POST", &format!("/a2a/{agent}"), &by(user), request).await.ok()
    };
    let task = ask("alice", &agents[0], "message/send", say("m", "hi", json!({}))).await["result"].clone();
    assert_eq!(task["status"]["state"], "completed", "{task}");
    assert_eq!(ask("alice", &agents[0], "ListTasks", json!({})).await["result"]["totalSize"], 1);
    assert_eq!(ask("alice", &agents[0], "tasks/get", json!({"id": task["id"]})).await["result"]["id"], task["id"]);
    let id = json!({"id": task["id"]});
    assert_eq!(
        ask("bob", &agents[0], "tasks/get", id.clone()).await["error"]["code"],
        -32602,
        "the agent does not belong to bob"
    );
    for method in ["tasks/get", "tasks/cancel", "tasks/resubscribe"] {
        assert_eq!(ask("bob", &agents[1], method, id.clone()).await["error"]["code"], -32001, "{method}");
    }
    let into = say("m", "hi", json!({"contextId": task["contextId"]}));
    assert!(
        ask("bob", &agents[1], "message/send", into).await["error"].is_object(),
        "the context does not belong to bob"
    );
    assert_eq!(
        ask("bob", &agents[1], "ListTasks", json!({"contextId": task["contextId"]})).await["result"]["tasks"],
        json!([])
    );
    assert_eq!(ask("bob", &agents[1], "ListTasks", json!({})).await["result"]["totalSize"], 0);
    assert_eq!(server.send("GET", &format!("/a2a/{}", agents[0]), &by("bob"), "").await.status, 404);
}
