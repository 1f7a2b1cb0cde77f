//! The Agent2Agent protocol: agents' answers beside text.

use langopen_graph::FunctionExecutor;
use serde_json::{Value, json};

use crate::a2a::{ask, result, say};
use crate::harness::{Server, quick, server_of};

/// A server with an agent that calls two tools, and answers with text and with a structured response.
async fn working(tools: Option<&[&str]>) -> Server {
    let agent = FunctionExecutor::new().graph("agent", |_| async move {
        let calls = json!([{"id": "c1", "name": "weather", "args": {}}, {"id": "c2", "name": "secret", "args": {}}]);
        Ok(json!({
            "messages": [
                {"type": "ai", "id": "a1", "content": "", "tool_calls": calls},
                {"type": "tool", "id": "t1", "tool_call_id": "c1", "name": "weather", "content": "{\"degrees\": 12.50}"},
                {"type": "tool", "id": "t2", "tool_call_id": "c2", "content": "sesame", "status": "error"},
                {"type": "ai", "id": "a2", "content": "It is mild"},
            ],
            "structured_response": {"mild": true},
        }))
    });
    let tools = tools.map(|tools| tools.iter().map(|tool| (*tool).to_owned()).collect());
    let settings = quick().with_a2a_tool_results(tools);
    server_of(agent.append("agent", "messages"), |server| server.with_settings(settings)).await
}

#[tokio::test]
async fn tool_results_are_data_in_the_history() {
    let weather = json!({"tool_call_id": "c1", "name": "weather", "content": {"degrees": 12.5}, "status": "success"});
    let secret = json!({"tool_call_id": "c2", "name": "secret", "content": "sesame", "status": "error"});
    for (tools, shown) in [
        (None, vec![("t1", &weather), ("t2", &secret)]),
        (Some(&["weather", "other"][..]), vec![("t1", &weather)]),
        (Some(&[]), vec![]),
    ] {
        let server = working(tools).await;
        let task = result(ask(&server, "agent", "message/send", say("m", "hi", json!({}))).await);
        let told = task["history"].as_array().unwrap().iter().filter(|message| message["parts"][0]["kind"] == "data");
        let told: Vec<_> = told
            .map(|message| {
                assert_eq!((&message["role"], message["parts"].as_array().unwrap().len()), (&json!("agent"), 1));
                (message["messageId"].as_str().unwrap(), &message["parts"][0]["data"])
            })
            .collect();
        assert_eq!(told, shown, "{tools:?}");
        assert_eq!(task["history"].as_array().unwrap().len(), 2 + shown.len(), "calls are not shown");
        let got = result(ask(&server, "agent", "GetTask", json!({"id": task["id"], "historyScope": "task"})).await);
        assert_eq!(got["history"].as_array().unwrap().len(), 2 + shown.len());
    }
}

#[tokio::test]
async fn an_answer_in_a_form_is_data_beside_the_words() {
    let server = working(None).await;
    let task = result(ask(&server, "agent", "message/send", say("m", "hi", json!({}))).await);
    let parts: Value = json!([{"kind": "text", "text": "It is mild"}, {"kind": "data", "data": {"mild": true}}]);
    assert_eq!(task["artifacts"][0]["parts"], parts);
    let got = result(ask(&server, "agent", "GetTask", json!({"id": task["id"]})).await);
    assert_eq!(got["artifacts"][0]["parts"], json!([{"text": "It is mild"}, {"data": {"mild": true}}]));
}

#[tokio::test]
async fn the_scope_of_a_history_is_named_in_the_request_too() {
    let server = working(Some(&[])).await;
    let first = result(ask(&server, "agent", "message/send", say("m1", "hi", json!({}))).await);
    let mut more = say("m2", "and?", json!({"contextId": first["contextId"]}));
    more["configuration"] = json!({"historyScope": "task"});
    let second = result(ask(&server, "agent", "message/send", more).await);
    assert_eq!((&second["history"][0]["messageId"], second["history"].as_array().unwrap().len()), (&json!("m2"), 2));
    let list = async |scope: &str| {
        ask(&server, "agent", "ListTasks", json!({"contextId": first["contextId"], "historyScope": scope})).await
    };
    assert_eq!(result(list("context").await)["tasks"][0]["history"].as_array().unwrap().len(), 4);
    assert_eq!(result(list("task").await)["tasks"][0]["history"].as_array().unwrap().len(), 2);
    assert_eq!(list("all").await["error"]["message"], "historyScope must be 'context' or 'task'");
}
