//! Messages: their input forms, and the events that readers receive.

use langopen_graph::{Graph, NodeContext, NodeError, START};
use serde_json::{Value, json};

use crate::thread::Thread;

fn chat<F, R>(node: F) -> Thread
where
    F: Fn(NodeContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, NodeError>> + Send + 'static,
{
    Thread::of(Graph::builder("chat").messages().node("answer", node).edge(START, "answer").build().unwrap())
}

async fn nothing(_: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({}))
}

#[tokio::test]
async fn every_form_becomes_a_whole_message() {
    for written in
        [json!("hi"), json!(["user", "hi"]), json!([["human", "hi"]]), json!({"role": "user", "content": "hi"})]
    {
        let values = chat(nothing).run(json!({"input": {"messages": written}})).await.values();
        let mut message = values["messages"][0].clone();
        assert!(message.as_object_mut().unwrap().shift_remove("id").unwrap().is_string());
        let fields = json!({"additional_kwargs": {}, "response_metadata": {}, "name": null});
        let mut whole = json!({"type": "human", "content": "hi"});
        whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(message, whole);
    }
    for (written, class) in [
        (json!(5), "ValueError"),
        (json!([{"role": "wizard", "content": ""}]), "ValueError"),
        (json!([{}]), "ValueError"),
    ] {
        assert_eq!(chat(nothing).run(json!({"input": {"messages": written}})).await.error().0, class, "{written}");
    }
}

#[tokio::test]
async fn messages_are_replaced_and_removed_by_their_ids() {
    let thread = chat(nothing);
    let message = |id: &str, content: &str| json!({"type": "human", "id": id, "content": content});
    let contents = |values: &Value| -> Vec<Value> {
        values["messages"].as_array().unwrap().iter().map(|message| message["content"].clone()).collect()
    };
    let ran = thread.run(json!({"input": {"messages": [message("1", "a"), message("2", "b")]}})).await;
    assert_eq!(contents(&ran.values()), ["a", "b"]);
    let ran = thread.run(json!({"input": {"messages": [message("1", "c"), {"type": "remove", "id": "2"}]}})).await;
    assert_eq!(contents(&ran.values()), ["c"]);
    let ran = thread
        .run(json!({"input": {"messages": [{"type": "remove", "id": "__remove_all__"}, message("3", "d")]}}))
        .await;
    assert_eq!(contents(&ran.values()), ["d"]);
    let ran = thread.run(json!({"input": {"messages": {"type": "remove", "id": "9"}}})).await;
    assert_eq!(ran.error().0, "ValueError");
}

#[tokio::test]
async fn a_streamed_message_is_the_sum_of_its_pieces_and_is_told_once() {
    let answer = |run: NodeContext| async move {
        let mut message = run.message().metadata("ls_provider", "mine");
        message.text("Good").await?;
        message.text(" day").await?;
        let call = |args: &str| json!({"tool_call_chunks": [{"index": 0, "id": "c", "name": "add", "args": args}]});
        message.piece(call("{\"a\"")).await?;
        message.piece(call(":1}")).await?;
        Ok(json!({"messages": message.finish().await?}))
    };
    let ran = chat(answer).run(json!({"input": {"messages": "hi"}, "stream_mode": ["messages-tuple"]})).await;
    let told = ran.of("messages");
    assert_eq!(told.len(), 5, "the whole message is not told again");
    assert_eq!((&told[0][0]["content"], &told[0][1]["ls_provider"]), (&json!("Good"), &json!("mine")));
    assert_eq!(told[4][0]["chunk_position"], "last");
    let whole = &ran.values()["messages"][1];
    assert_eq!((&whole["content"], &whole["id"]), (&json!("Good day"), &told[0][0]["id"]));
    assert_eq!(whole["tool_calls"], json!([{"name": "add", "args": {"a": 1}, "id": "c", "type": "tool_call"}]));
}

#[tokio::test]
async fn the_mode_events_tells_of_graph_nodes_and_pieces() {
    let answer = |run: NodeContext| async move {
        let mut message = run.message();
        message.text("hi").await?;
        Ok(json!({"messages": message.finish().await?}))
    };
    let ran = chat(answer).run(json!({"input": {"messages": "hi"}, "stream_mode": ["events"]})).await;
    let events: Vec<_> = ran.of("events").iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        events,
        [
            "on_chain_start",
            "on_chain_start",
            "on_chat_model_start",
            "on_chat_model_stream",
            "on_chat_model_stream",
            "on_chat_model_end",
            "on_chain_stream",
            "on_chain_end",
            "on_chain_end",
        ]
    );
}

#[tokio::test]
async fn the_calls_of_tools_are_told_and_become_messages() {
    let answer = |run: NodeContext| async move {
        let call = json!({"id": "c", "name": "add", "args": {"a": 1}});
        let added = run.tool_call(&call, async { Ok(json!({"sum": 2})) }).await?;
        let fails = run.tool_call(&call, async { Err(NodeError::new("ValueError", "no")) }).await;
        assert!(fails.is_err());
        Ok(json!({"messages": added}))
    };
    let ran = chat(answer).run(json!({"input": {"messages": "hi"}, "stream_mode": ["tools"]})).await;
    let message = ran.values()["messages"][1].clone();
    assert_eq!((&message["content"], &message["tool_call_id"]), (&json!("{\"sum\":2}"), &json!("c")));
    let begun = json!({"event": "tool-started", "tool_call_id": "c", "tool_name": "add", "input": {"a": 1}});
    let ended = json!({"event": "tool-finished", "tool_call_id": "c", "output": message});
    let failed = json!({"event": "tool-error", "tool_call_id": "c", "message": "no"});
    assert_eq!(ran.of("tools"), [begun.clone(), ended, begun, failed]);
}

#[tokio::test]
async fn runs_of_the_protocol_hear_messages_in_blocks() {
    let answer = |run: NodeContext| async move {
        let mut message = run.message();
        message.text("hi").await?;
        message.piece(json!({"usage_metadata": {"total_tokens": 1}})).await?;
        let other = json!({"type": "ai", "content": "", "tool_calls": [{"name": "add", "args": {}, "id": "c"}]});
        Ok(json!({"messages": [message.finish().await?, other]}))
    };
    let modes = ["values", "updates", "messages", "lifecycle", "tasks", "checkpoints"];
    let ran = chat(answer).run(json!({"input": {"messages": "hi"}, "stream_mode": modes, "subgraphs": true})).await;
    let told = ran.of("protocol/messages");
    assert!(told.iter().all(|piece| piece["node"] == "answer"));
    let pieces: Vec<_> = told.iter().map(|piece| piece["data"]["event"].as_str().unwrap()).collect();
    let (start, finish) = ("content-block-start", "content-block-finish");
    let streamed = ["message-start", start, "content-block-delta", finish, "message-finish"];
    assert_eq!(pieces, [&streamed[..], &["message-start", start, finish, "message-finish"]].concat());
    assert_eq!(told[4]["data"]["usage"], json!({"total_tokens": 1}));
    assert_eq!(told[7]["data"]["content"]["type"], "tool_call");
    let human = &ran.of("values")[0]["messages"][0];
    assert_eq!(human.as_object().unwrap().keys().collect::<Vec<_>>(), ["type", "content", "id"]);
    let steps: Vec<_> = ran.of("protocol/checkpoints").iter().map(|told| told["data"]["step"].clone()).collect();
    assert_eq!(steps, [-1, 0, 1]);
}
