//! The Model Context Protocol: assistants as tools.

use serde_json::{Value, json};

use crate::harness::{Answer, Server, server};

async fn send(server: &Server, body: &str, headers: &[(&str, &str)]) -> Answer {
    server.send("POST", "/mcp", headers, body.to_owned()).await
}

async fn ask(server: &Server, method: &str, params: Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": params}).to_string();
    let reply = send(server, &message, &[("accept", "application/json, text/event-stream")]).await.ok();
    assert_eq!((&reply["jsonrpc"], &reply["id"]), (&json!("2.0"), &json!("a")));
    reply
}

#[tokio::test]
async fn a_client_is_greeted_in_a_version_that_both_know() {
    let server = server().await;
    for (asked, answered) in
        [(json!("2025-06-18"), "2025-06-18"), (json!("1999-01-01"), "2025-11-25"), (json!(null), "2025-11-25")]
    {
        let result = &ask(&server, "initialize", json!({"protocolVersion": asked, "capabilities": {}})).await["result"];
        assert_eq!(result["protocolVersion"], answered);
        assert_eq!(result["capabilities"], json!({"tools": {"listChanged": false}}));
        assert_eq!(result["serverInfo"]["name"], "LangGraph");
    }
    assert_eq!(ask(&server, "ping", json!({})).await["result"], json!({}));
    assert_eq!(ask(&server, "resources/list", json!({})).await["error"]["code"], -32601);
}

#[tokio::test]
async fn every_assistant_is_a_tool() {
    let server = server().await;
    let named = json!({"graph_id": "echo", "name": "My Echo/2", "description": "Echoes"});
    server.post("/assistants", named).await.ok();
    let tools = ask(&server, "tools/list", json!({})).await["result"]["tools"].clone();
    let mut names: Vec<_> = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["My_Echo_2", "echo", "fail", "slow"]);
    let tool = tools.as_array().unwrap().iter().find(|tool| tool["name"] == "My_Echo_2").unwrap();
    assert_eq!((&tool["title"], &tool["description"]), (&json!("My Echo/2"), &json!("Echoes")));
    assert_eq!((&tool["inputSchema"]["type"], &tool["annotations"]["openWorldHint"]), (&json!("object"), &json!(true)));

    let call = json!({"name": "My_Echo_2", "arguments": {"messages": "hi"}});
    let result = ask(&server, "tools/call", call).await["result"].clone();
    assert!(result.get("isError").is_none(), "{result}");
    let state: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(state["log"], json!(["echo"]));
    let failed = ask(&server, "tools/call", json!({"name": "fail"})).await["result"].clone();
    assert_eq!(failed["isError"], true);
    assert!(failed["content"][0]["text"].as_str().unwrap().ends_with(": boom"), "{failed}");
    let unknown = ask(&server, "tools/call", json!({"name": "nope"})).await;
    assert_eq!(unknown["error"], json!({"code": -32602, "message": "Unknown tool: nope"}));
    server.post("/assistants", json!({"graph_id": "echo", "name": "My Echo 2"})).await.ok();
    let two = ask(&server, "tools/call", json!({"name": "My_Echo_2"})).await;
    assert_eq!(two["error"]["message"], "Multiple tools found with the same name.");
    assert_eq!(server.post("/threads/search", json!({})).await.ok(), json!([]), "the calls leave no threads");
}

#[tokio::test]
async fn messages_that_ask_nothing_or_are_wrong_have_their_answers() {
    let server = server().await;
    for nothing in
        [r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#]
    {
        let answer = send(&server, nothing, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
    }
    let bad = send(&server, "{bad", &[]).await;
    assert_eq!((bad.status.as_u16(), bad.json()), (400, json!({"error": "Invalid JSON"})));
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let refused = send(&server, ping, &[("accept", "text/html")]).await;
    assert!(refused.status == 400 && refused.text.contains("Accept header must include"), "{}", refused.text);
    assert_eq!(
        send(&server, ping, &[("origin", "https://evil.example"), ("host", "localhost:2024")]).await.status,
        403
    );
    assert_eq!(
        send(&server, ping, &[("origin", "http://localhost:6274"), ("host", "localhost:2024")]).await.status,
        200
    );
    assert_eq!(server.get("/mcp").await.status, 405);
    assert_eq!(server.send("DELETE", "/mcp", &[], "").await.status, 404);
    assert_eq!(server.send("POST", "/mcp/", &[], ping).await.status, 307);
}
