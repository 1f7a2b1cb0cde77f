//! A client talks to the embedded agent through the service's router.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

async fn post(service: &Router, path: &str, body: Value) -> String {
    let request = Request::post(path).header("content-type", "application/json").body(Body::from(body.to_string()));
    let response = service.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

async fn say(service: &Router, thread_id: &str, words: &str) -> String {
    let input = json!({"messages": [{"type": "human", "content": words}]});
    let body = json!({"assistant_id": "greeter", "input": input});
    let values: Value =
        serde_json::from_str(&post(service, &format!("/agents/threads/{thread_id}/runs/wait"), body).await).unwrap();
    values["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_agent_remembers_across_threads() {
    let stop = CancellationToken::new();
    let service = embed::service(stop.clone()).await.unwrap();
    let mut threads = Vec::new();
    for _ in 0..2 {
        let thread: Value = serde_json::from_str(&post(&service, "/agents/threads", json!({})).await).unwrap();
        threads.push(thread["thread_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(say(&service, &threads[0], "my name is Ada").await, "Nice to meet you, Ada.");
    assert_eq!(say(&service, &threads[1], "hello").await, "Hello again, Ada!");
    stop.cancel();
}

#[tokio::test]
async fn the_agent_streams_its_answer_word_by_word() {
    let stop = CancellationToken::new();
    let service = embed::service(stop.clone()).await.unwrap();
    let input = json!({"messages": [{"type": "human", "content": "my name is Ada"}]});
    let body = json!({"assistant_id": "greeter", "stream_mode": "messages-tuple", "input": input});
    let stream = post(&service, "/agents/runs/stream", body).await;
    // Five words, and a last chunk that marks the end.
    assert_eq!(stream.matches("event: messages\r\n").count(), 6, "{stream}");
    stop.cancel();
}

#[tokio::test]
async fn the_agent_asks_before_it_forgets() {
    let stop = CancellationToken::new();
    let service = embed::service(stop.clone()).await.unwrap();
    let thread: Value = serde_json::from_str(&post(&service, "/agents/threads", json!({})).await).unwrap();
    let runs = format!("/agents/threads/{}/runs/wait", thread["thread_id"].as_str().unwrap());
    let input = json!({"messages": [{"type": "human", "content": "forget me"}]});
    let asked = post(&service, &runs, json!({"assistant_id": "greeter", "input": input})).await;
    let asked: Value = serde_json::from_str(&asked).unwrap();
    assert_eq!(asked["__interrupt__"][0]["value"], "Shall I forget your name?");
    let resumed = post(&service, &runs, json!({"assistant_id": "greeter", "command": {"resume": "yes"}})).await;
    let resumed: Value = serde_json::from_str(&resumed).unwrap();
    assert_eq!(resumed["messages"][1]["content"], "I do not know you any more.");
    stop.cancel();
}
