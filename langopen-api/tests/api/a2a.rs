//! The Agent2Agent protocol: messages to agents, and agents' tasks.

use std::time::Duration;

use langopen_core::AssistantId;
use langopen_graph::FunctionExecutor;
use serde_json::{Value, json};

use crate::harness::{Answer, NOWHERE, Server, graphs, quick, server_of};

/// The chunks of the answer of `chat`.
pub(crate) const CHUNKS: [&str; 4] = ["One", " two", " three", " four"];

/// A server with the graphs of the harness and `chat`, which waits `ms` milliseconds before each word.
pub(crate) async fn agents() -> Server {
    server_of(chatty(), |server| server.with_settings(quick())).await
}

pub(crate) fn chatty() -> FunctionExecutor {
    let chat = graphs().graph("chat", |run| async move {
        let mut message = run.message().with_id(run.run().run_id.to_string());
        for text in CHUNKS {
            tokio::time::sleep(Duration::from_millis(run.input()["ms"].as_u64().unwrap_or(0))).await;
            message.text(text).await?;
        }
        Ok(json!({"messages": [message.finish().await?]}))
    });
    chat.append("chat", "messages")
}

pub(crate) fn path(graph: &str) -> String {
    format!("/a2a/{}", AssistantId::system(graph))
}

pub(crate) async fn send(server: &Server, graph: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    server.send("POST", &path(graph), headers, body.to_owned()).await
}

/// Calls a method and returns its reply.
pub(crate) async fn ask(server: &Server, graph: &str, method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": params}).to_string();
    let reply = send(server, graph, &request, &[]).await.ok();
    assert_eq!((&reply["jsonrpc"], &reply["id"]), (&json!("2.0"), &json!("a")));
    reply
}

/// The result in a reply.
#[track_caller]
pub(crate) fn result(reply: Value) -> Value {
    assert!(reply["error"].is_null(), "{reply}");
    reply["result"].clone()
}

/// A text message in the older dialect.
pub(crate) fn say(id: &str, text: &str, more: Value) -> Value {
    let mut message = json!({"role": "user", "messageId": id, "parts": [{"kind": "text", "text": text}]});
    more.as_object().unwrap().iter().for_each(|(key, value)| message[key] = value.clone());
    json!({ "message": message })
}

pub(crate) fn ids(task: &Value) -> Vec<&str> {
    task["history"].as_array().into_iter().flatten().map(|each| each["messageId"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_message_is_answered_in_its_dialect() {
    let server = agents().await;
    let task = result(ask(&server, "chat", "message/send", say("m1", "hi", json!({}))).await);
    let (id, context) = (task["id"].as_str().unwrap(), task["contextId"].as_str().unwrap());
    let run = id.strip_prefix(&format!("{context}:")).unwrap();
    assert_eq!(
        server.get(&format!("/threads/{context}/runs/{run}")).await.ok()["status"],
        "success",
        "a task is a run"
    );
    assert_eq!((&task["kind"], &task["status"]["state"]), (&json!("task"), &json!("completed")));
    let artifact = &task["artifacts"][0];
    assert_eq!(artifact["name"], "Assistant Response");
    assert_eq!(artifact["parts"], json!([{"kind": "text", "text": "One two three four"}]));
    let said = json!({
        "kind": "message", "role": "user", "parts": [{"kind": "text", "text": "hi"}], "messageId": "m1", "taskId": id, "contextId": context,
    });
    assert_eq!((&task["history"][0], &task["history"][1]["role"]), (&said, &json!("agent")));

    let parts = json!([{"text": "hi"}]);
    let message = json!({"role": "ROLE_USER", "messageId": "m2", "contextId": context, "parts": parts});
    let answered = result(ask(&server, "chat", "SendMessage", json!({ "message": message })).await);
    let task = &answered["task"];
    assert_eq!((task["contextId"].as_str(), &task["status"]["state"]), (Some(context), &json!("TASK_STATE_COMPLETED")));
    assert_eq!(task["artifacts"][0]["parts"], json!([{"text": "One two three four"}]));
    assert_eq!(task["history"].as_array().unwrap().len(), 4, "the context continues");
    assert_eq!((&task["history"][2]["role"], &task["history"][3]["role"]), (&json!("ROLE_USER"), &json!("ROLE_AGENT")));
    assert!(!answered.to_string().contains("\"kind\""), "{answered}");
}

#[tokio::test]
async fn a_history_is_as_long_as_it_is_wanted() {
    let server = agents().await;
    let first = result(ask(&server, "chat", "message/send", say("m1", "a", json!({}))).await);
    let (id, context) = (&first["id"], &first["contextId"]);
    let second = result(ask(&server, "chat", "message/send", say("m2", "b", json!({"contextId": context}))).await);
    let run = |task: &Value| task["id"].as_str().unwrap().split_once(':').unwrap().1.to_owned();
    let (one, two) = (run(&first), run(&second));
    let get = async |id: &Value, length: Value, scope: Option<&str>| {
        let request =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": id, "historyLength": length}});
        let headers: Vec<_> = scope.map(|scope| ("langgraph-a2a-history-scope", scope)).into_iter().collect();
        send(&server, "chat", &request.to_string(), &headers).await.ok()
    };
    let history = async |id: &Value, length: Value, scope: Option<&str>| {
        ids(&result(get(id, length, scope).await)).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(history(id, json!(null), None).await, ["m1", &one], "later messages do not belong to the task");
    assert_eq!(history(&second["id"], json!(null), None).await, ["m1", &one, "m2", &two]);
    assert_eq!(history(&second["id"], json!(null), Some("task")).await, ["m2", &two]);
    assert_eq!(history(&second["id"], json!(1), Some("context")).await, [two.as_str()]);
    assert!(history(&second["id"], json!(0), None).await.is_empty());
    assert_eq!(get(id, json!(-1), None).await["error"]["message"], "historyLength must not be negative");
    assert_eq!(get(id, json!(1), Some("all")).await["error"]["code"], -32602);
    let old = result(get(id, json!(null), None).await);
    assert_eq!(old["artifacts"][0]["parts"][0]["text"], "One two three four");
    for number in 3..9 {
        let id = format!("m{number}");
        ask(&server, "chat", "message/send", say(&id, "more", json!({"contextId": context}))).await;
    }
    let last = result(ask(&server, "chat", "message/send", say("m9", "last", json!({"contextId": context}))).await);
    assert_eq!(ids(&last).len(), 10, "the history has at most 10 messages");
}

#[tokio::test]
async fn data_is_the_graphs_input_and_its_answer() {
    let server = agents().await;
    let parts = json!([{"kind": "data", "data": {"log": ["d"], "price": 1.50}}]);
    let message = json!({"role": "user", "messageId": "m", "parts": parts});
    let task = result(ask(&server, "slow", "message/send", json!({ "message": message })).await);
    let part = &task["artifacts"][0]["parts"][0];
    assert_eq!(part["kind"], "data");
    assert_eq!((&part["data"]["log"], &part["data"]["price"]), (&json!(["d", "slow"]), &json!(1.5)));

    let file = json!({"bytes": "aGk=", "mimeType": "image/png", "name": "a.png"});
    let parts = json!([{"kind": "text", "text": "look"}, {"kind": "file", "file": file}]);
    let message = json!({"role": "user", "messageId": "m", "parts": parts});
    let task = result(ask(&server, "chat", "message/send", json!({ "message": message })).await);
    assert_eq!(task["history"][0]["parts"], parts, "the file is unchanged");
    let state = server.get(&format!("/threads/{}/state", task["contextId"].as_str().unwrap())).await.ok();
    let block = &state["values"]["messages"][0]["content"][1];
    assert_eq!(
        (&block["type"], &block["base64"], &block["mime_type"]),
        (&json!("image"), &json!("aGk="), &json!("image/png"))
    );
}

#[tokio::test]
async fn a_failure_is_a_failed_task() {
    let server = agents().await;
    let task = result(ask(&server, "fail", "message/send", say("m", "hi", json!({}))).await);
    assert_eq!(task["status"]["state"], "failed");
    let said = task["status"]["message"]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert!(said.ends_with(": boom"), "{said}");
    let kept = result(ask(&server, "fail", "GetTask", json!({"id": task["id"]})).await);
    assert_eq!(
        (&kept["status"]["state"], &kept["status"]["message"]["parts"][0]["text"]),
        (&json!("TASK_STATE_FAILED"), &json!(said))
    );
}

#[tokio::test]
async fn a_task_that_works_takes_more_messages() {
    let server = agents().await;
    let mut params = say("m1", "hi", json!({}));
    params["message"]["parts"].as_array_mut().unwrap().push(json!({"kind": "data", "data": {"ms": 50}}));
    params["configuration"] = json!({"blocking": false});
    let begun = result(ask(&server, "chat", "message/send", params).await);
    let more = say("m2", "and?", json!({"taskId": begun["id"]}));
    let task = result(ask(&server, "chat", "message/send", more).await);
    assert_eq!((&task["id"], &task["status"]["state"]), (&begun["id"], &json!("completed")));
    assert_eq!(task["history"].as_array().unwrap().len(), 4);
    let listed = result(ask(&server, "chat", "ListTasks", json!({"contextId": begun["contextId"]})).await);
    assert_eq!((&listed["totalSize"], &listed["tasks"][0]["id"]), (&json!(1), &begun["id"]), "one task has two runs");
}

#[tokio::test]
async fn errors_use_the_protocols_codes() {
    let server = agents().await;
    for (body, id, code, said) in [
        ("{bad", json!(null), -32700, "Invalid JSON payload"),
        ("[]", json!(null), -32600, "Batches are not supported"),
        ("3", json!(null), -32600, "A request is an object"),
        (r#"{"jsonrpc":"2.0","method":"tasks/get"}"#, json!(null), -32600, "A request has an id"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"tasks/get"}"#, json!(null), -32600, "The id of a request is"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"tasks/get"}"#, json!(1), -32600, "jsonrpc must be"),
        (r#"{"jsonrpc":"2.0","id":1}"#, json!(1), -32600, "A request has a method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":[]}"#, json!(1), -32602, "Invalid params"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get"}"#, json!(1), -32602, "Invalid params: missing field `id`"),
        (r#"{"jsonrpc":"2.0","id":"x","method":"nope"}"#, json!("x"), -32601, "Method not found: nope"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"message/send","params":{}}"#,
            json!(1),
            -32602,
            "Invalid params: missing field `message`",
        ),
    ] {
        let reply = send(&server, "chat", body, &[]).await.ok();
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&id, &json!(code)), "{body}: {reply}");
        assert!(reply["error"]["message"].as_str().unwrap().starts_with(said), "{body}: {reply}");
    }
    let unknown = format!("{NOWHERE}:{NOWHERE}");
    let with = |more: Value| say("m", "hi", more);
    for (method, params, code) in [
        ("tasks/get", json!({"id": unknown}), -32001),
        ("GetTask", json!({"id": "x"}), -32001),
        ("tasks/cancel", json!({"id": unknown}), -32001),
        ("tasks/resubscribe", json!({"id": unknown}), -32001),
        ("message/send", with(json!({"taskId": unknown})), -32001),
        ("message/send", with(json!({"contextId": "x"})), -32602),
        ("message/send", with(json!({"messageId": ""})), -32602),
        ("message/stream", with(json!({"parts": []})), -32602),
        ("message/send", with(json!({"parts": [{"kind": "data", "data": 3}]})), -32602),
        ("SendMessage", json!({"message": with(json!({}))["message"], "command": {"resume": 1}}), -32004),
        (
            "SendMessage",
            json!({"message": with(json!({}))["message"], "configuration": {"acceptedOutputModes": ["image/png"]}}),
            -32005,
        ),
        (
            "SendMessage",
            json!({"message": with(json!({}))["message"], "configuration": {"taskPushNotificationConfig": {}}}),
            -32003,
        ),
        ("tasks/pushNotificationConfig/set", json!({}), -32003),
        ("ListTaskPushNotificationConfigs", json!({}), -32003),
    ] {
        let reply = ask(&server, "chat", method, params.clone()).await;
        assert_eq!(reply["error"]["code"], code, "{method} {params}: {reply}");
    }
    let task = result(ask(&server, "chat", "message/send", say("m", "hi", json!({}))).await);
    assert_eq!(
        ask(&server, "slow", "tasks/get", json!({"id": task["id"]})).await["error"]["code"],
        -32001,
        "the task belongs to another agent"
    );
    let elsewhere = say("m", "hi", json!({"taskId": task["id"], "contextId": NOWHERE}));
    assert_eq!(ask(&server, "chat", "message/send", elsewhere).await["error"]["code"], -32602);
}

#[tokio::test]
async fn agents_headers_and_bodies_are_checked() {
    let server = agents().await;
    let get = r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"x"}}"#;
    let post = async |path: &str, headers: &[(&str, &str)]| server.send("POST", path, headers, get).await;
    let missing = post(&format!("/a2a/{NOWHERE}"), &[]).await.ok();
    assert_eq!(missing["error"], json!({"code": -32602, "message": format!("Assistant '{NOWHERE}' not found")}));
    let named = post("/a2a/chat", &[]).await.ok();
    assert_eq!(named["error"], json!({"code": -32602, "message": "Invalid assistant ID: must be a UUID"}));
    let refused = post(&path("chat"), &[("accept", "text/html")]).await;
    let error = json!({"error": "Accept header must include application/json"});
    assert_eq!((refused.status.as_u16(), refused.json()), (400, error));
    assert_eq!(post(&format!("{}/", path("chat")), &[]).await.status, 307);
    for (version, code) in
        [("0.3", -32001), ("1.0", -32001), ("1.0.1", -32001), ("", -32001), ("2.0", -32009), ("1.05", -32009)]
    {
        let reply = post(&path("chat"), &[("a2a-version", version)]).await.ok();
        assert_eq!(reply["error"]["code"], code, "{version:?}");
    }
    let large = server.send("POST", &path("chat"), &[], vec![b' '; 200_000]).await;
    assert_eq!((large.status.as_u16(), large.detail().as_str()), (413, "Request body exceeds 100000 bytes"));
}
