//! The Agent2Agent protocol: streams of tasks, and resubscriptions to them.

use axum::body::Body;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::a2a::{CHUNKS, agents, ask, path, say, send};
use crate::harness::Server;

/// An event with its position in the stream.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    place: String,
    result: Value,
}

fn parse(text: &str) -> Vec<Told> {
    let frames = text.split("\r\n\r\n").filter(|frame| frame.starts_with("event: message"));
    let told = frames.map(|frame| {
        let line = |name: &str| frame.split("\r\n").find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let reply: Value = serde_json::from_str(&line("data: ")).unwrap();
        assert_eq!((&reply["jsonrpc"], &reply["id"]), (&json!("2.0"), &json!(7)));
        Told { place: line("id: "), result: reply["result"].clone() }
    });
    told.collect()
}

async fn stream(server: &Server, method: &str, params: &Value, after: Option<&str>) -> Vec<Told> {
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
    let headers: Vec<_> = after.map(|after| ("last-event-id", after)).into_iter().collect();
    let answer = send(server, "chat", &request, &headers).await;
    assert!(answer.header("content-type").starts_with("text/event-stream"), "{}", answer.text);
    parse(&answer.text)
}

/// The text that a client assembles from the events: some append to it, others replace it.
fn folded(told: &[Told]) -> String {
    let updates = told.iter().map(|told| &told.result).filter(|result| result["kind"] == "artifact-update");
    updates.fold(String::new(), |text, update| {
        let part = update["artifact"]["parts"][0]["text"].as_str().unwrap();
        if update["append"] == true { text + part } else { part.to_owned() }
    })
}

#[tokio::test]
async fn a_stream_sends_the_task_its_answer_and_its_end() {
    let server = agents().await;
    let told = stream(&server, "message/stream", &say("m", "hi", json!({})), None).await;
    let kinds: Vec<_> = told.iter().map(|told| told.result["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..2], ["task", "status-update"]);
    assert_eq!(kinds[kinds.len() - 2..], ["artifact-update", "status-update"]);
    let (task, end) = (&told[0].result, &told[told.len() - 1].result);
    assert_eq!((&task["status"]["state"], &task["history"][0]["messageId"]), (&json!("submitted"), &json!("m")));
    assert_eq!((&told[1].result["status"]["state"], &told[1].result["final"]), (&json!("working"), &json!(false)));
    assert_eq!((&end["status"]["state"], &end["final"]), (&json!("completed"), &json!(true)));
    let updates: Vec<_> = told[2..told.len() - 1].iter().map(|told| &told.result).collect();
    let text = |update: &&Value| update["artifact"]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(updates.iter().map(text).collect::<Vec<_>>(), [&CHUNKS[..], &[&CHUNKS.concat()]].concat());
    let flags: Vec<_> = updates.iter().map(|update| (&update["append"], &update["lastChunk"])).collect();
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(flags, [(&no, &no), (&yes, &no), (&yes, &no), (&yes, &no), (&no, &yes)]);
    assert!(updates.iter().all(|update| update["artifact"]["artifactId"] == updates[0]["artifact"]["artifactId"]));
    assert!(told.iter().all(|told| told.result["contextId"] == task["contextId"]));

    let parts = json!([{"text": "hi"}]);
    let params = json!({"message": {"role": "ROLE_USER", "messageId": "m", "parts": parts}});
    let told = stream(&server, "SendStreamingMessage", &params, None).await;
    let keys: Vec<_> =
        told.iter().map(|told| told.result.as_object().unwrap().keys().next().unwrap().as_str()).collect();
    assert_eq!(keys[0], "task");
    assert_eq!(keys[keys.len() - 2..], ["artifactUpdate", "statusUpdate"]);
    assert_eq!(told[told.len() - 1].result["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED");
    assert!(told.iter().all(|told| !told.result.to_string().contains("\"kind\"")));
}

#[tokio::test]
async fn a_stream_resumes_after_any_event() {
    let server = agents().await;
    let whole = stream(&server, "message/stream", &say("m", "hi", json!({})), None).await;
    let id = json!({"id": whole[0].result["id"]});
    for (at, told) in whole.iter().enumerate() {
        let rest = stream(&server, "tasks/resubscribe", &id, Some(&told.place)).await;
        assert_eq!(rest, whole[at + 1..], "after {}", told.place);
    }
    let again = stream(&server, "tasks/resubscribe", &id, None).await;
    assert_eq!((&again[0].result["status"]["state"], &again[1..]), (&json!("completed"), &whole[1..]));
    assert_eq!(folded(&again), CHUNKS.concat());
    let over = ask(&server, "chat", "SubscribeToTask", id.clone()).await;
    assert_eq!(over["error"]["code"], -32004, "{over}");
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "tasks/resubscribe", "params": id}).to_string();
    let wrong = send(&server, "chat", &request, &[("last-event-id", "yesterday")]).await.ok();
    assert_eq!(wrong["error"]["code"], -32602);
}

#[tokio::test]
async fn a_task_continues_without_its_client() {
    let server = agents().await;
    let mut params = say("m", "hi", json!({}));
    params["message"]["parts"].as_array_mut().unwrap().push(json!({"kind": "data", "data": {"ms": 30}}));
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "message/stream", "params": params}).to_string();
    let response = server.open("POST", &path("chat"), &[], Body::from(request)).await;
    let mut body = response.into_body().into_data_stream();
    let mut text = String::new();
    while parse(&text).len() < 3 {
        text += std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap();
    }
    drop(body);
    let mut seen = parse(&text);
    let id = json!({"id": seen[0].result["id"]});
    let rest = stream(&server, "tasks/resubscribe", &id, Some(&seen[seen.len() - 1].place.clone())).await;
    seen.extend(rest);
    let mut places: Vec<_> = seen.iter().map(|told| told.place.as_str()).collect();
    let number = places.len();
    places.dedup();
    assert_eq!((places.len(), folded(&seen)), (number, CHUNKS.concat()));
    assert_eq!(seen[number - 1].result["status"]["state"], "completed");
    assert_eq!(
        stream(&server, "tasks/resubscribe", &id, None).await[1..],
        seen[1..],
        "every reader gets the same events"
    );
}

#[tokio::test]
async fn a_failure_and_a_refusal_end_a_stream() {
    let server = agents().await;
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "message/stream", "params": say("m", "hi", json!({}))});
    let failed = send(&server, "fail", &request.to_string(), &[("accept", "text/event-stream")]).await;
    let told = parse(&failed.text);
    let end = &told[told.len() - 1].result;
    assert_eq!((&end["status"]["state"], &end["final"]), (&json!("failed"), &json!(true)));
    assert!(end["status"]["message"]["parts"][0]["text"].as_str().unwrap().ends_with(": boom"));
    let wrong = json!({"jsonrpc": "2.0", "id": 7, "method": "message/stream", "params": {}});
    let refused = send(&server, "chat", &wrong.to_string(), &[("accept", "text/event-stream")]).await;
    assert_eq!(
        (refused.header("content-type"), &refused.json()["error"]["code"]),
        ("application/json", &json!(-32602))
    );
}
