//! The Agent2Agent protocol: lists of tasks.

use serde_json::{Value, json};

use crate::a2a::{agents, ask, ids, result, say};
use crate::harness::NOWHERE;

#[tokio::test]
async fn tasks_are_listed_by_context_state_and_page() {
    let server = agents().await;
    let mut contexts = Vec::new();
    for number in 0..3 {
        let task = result(ask(&server, "chat", "message/send", say(&format!("a{number}"), "hi", json!({}))).await);
        contexts.push(task["contextId"].clone());
    }
    for number in 0..2 {
        let again = say(&format!("b{number}"), "hi", json!({"contextId": contexts[0]}));
        ask(&server, "chat", "message/send", again).await;
    }
    ask(&server, "fail", "message/send", say("f", "hi", json!({}))).await;
    let list = async |graph: &str, params: Value| result(ask(&server, graph, "ListTasks", params).await);
    let all = list("chat", json!({})).await;
    assert_eq!((&all["totalSize"], &all["pageSize"], &all["nextPageToken"]), (&json!(5), &json!(5), &json!("")));
    assert!(all["tasks"][0].get("artifacts").is_none());
    let times: Vec<_> =
        all["tasks"].as_array().unwrap().iter().map(|task| task["status"]["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "{times:?}");
    let of_context =
        list("chat", json!({"contextId": contexts[0], "includeArtifacts": true, "historyLength": 1})).await;
    assert_eq!(of_context["totalSize"], 3);
    assert_eq!(of_context["tasks"][2]["artifacts"][0]["parts"][0]["text"], "One two three four");
    assert!(of_context["tasks"].as_array().unwrap().iter().all(|task| ids(task).len() == 1));

    let (mut seen, mut token) = (Vec::new(), json!(""));
    loop {
        let page = list("chat", json!({"pageSize": 2, "pageToken": token})).await;
        seen.extend(page["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()));
        token = page["nextPageToken"].clone();
        if token == "" {
            break;
        }
    }
    let ids: Vec<_> = all["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()).collect();
    assert_eq!(seen, ids);
    for (state, number) in [("TASK_STATE_COMPLETED", 5), ("failed", 0), ("TASK_STATE_UNSPECIFIED", 5)] {
        assert_eq!(list("chat", json!({"status": state})).await["totalSize"], number, "{state}");
    }
    assert_eq!(list("fail", json!({"status": "TASK_STATE_FAILED"})).await["totalSize"], 1);
    for unknown in [NOWHERE, "no-such-context"] {
        let none = json!({"tasks": [], "totalSize": 0, "pageSize": 0, "nextPageToken": ""});
        assert_eq!(list("chat", json!({"contextId": unknown})).await, none, "{unknown}");
    }
    let later = json!({"statusTimestampAfter": "2999-01-01T00:00:00Z"});
    assert_eq!(list("chat", later).await["totalSize"], 0);
    for wrong in [
        json!({"pageSize": 101}),
        json!({"pageSize": 0}),
        json!({"pageSize": -1}),
        json!({"pageToken": "x"}),
        json!({"status": "asleep"}),
        json!({"statusTimestampAfter": "soon"}),
    ] {
        assert_eq!(ask(&server, "chat", "ListTasks", wrong.clone()).await["error"]["code"], -32602, "{wrong}");
    }
}

#[tokio::test]
async fn every_task_is_listed_however_many_contexts_there_are() {
    let server = agents().await;
    let begun = |number: usize| say(&format!("m{number}"), "hi", json!({}));
    let mut first = json!(null);
    for number in 0..130 {
        let task = result(ask(&server, "chat", "message/send", begun(number)).await);
        if number == 0 {
            first = task["contextId"].clone();
        }
    }
    // The oldest context gets a new message, and then a message to another agent.
    let again = result(ask(&server, "chat", "message/send", say("again", "hi", json!({"contextId": first}))).await);
    ask(&server, "slow", "message/send", json!({"message": {"role": "user", "messageId": "s", "contextId": first, "parts": [{"kind": "data", "data": {"ms": 1}}]}})).await;

    let (mut seen, mut token) = (Vec::new(), json!(""));
    loop {
        let page = result(ask(&server, "chat", "ListTasks", json!({"pageSize": 40, "pageToken": token})).await);
        seen.extend(page["tasks"].as_array().unwrap().iter().map(|task| {
            (task["status"]["timestamp"].as_str().unwrap().to_owned(), task["id"].as_str().unwrap().to_owned())
        }));
        token = page["nextPageToken"].clone();
        let known = if token == "" { seen.len() } else { seen.len() + 1 };
        assert_eq!(page["totalSize"], known, "the tasks so far, and one if a page follows");
        if token == "" {
            break;
        }
        if seen.len() == 40 {
            // A task that begins between two pages does not shift the second page.
            ask(&server, "chat", "message/send", begun(1000)).await;
        }
    }
    assert_eq!((seen.len(), seen[0].1.as_str()), (131, again["id"].as_str().unwrap()));
    assert!(seen.is_sorted_by(|later, earlier| later > earlier), "the last change comes first, and each task once");
    let since = json!({"statusTimestampAfter": seen[9].0});
    assert_eq!(result(ask(&server, "chat", "ListTasks", since).await)["totalSize"], 11);
}

#[tokio::test]
async fn a_context_with_many_runs_hides_no_other() {
    let server = agents().await;
    let alone = result(ask(&server, "chat", "message/send", say("alone", "hi", json!({}))).await);
    for context in [NOWHERE, "00000000-0000-4000-8000-000000000001"] {
        for number in 0..520 {
            let quiet = json!({"blocking": false});
            let mut params = say(&format!("m{number}"), "hi", json!({"contextId": context}));
            params["configuration"] = quiet;
            result(ask(&server, "chat", "message/send", params).await);
        }
    }
    let (mut seen, mut token) = (std::collections::BTreeSet::new(), json!(""));
    loop {
        let page = result(
            ask(&server, "chat", "ListTasks", json!({"pageSize": 100, "pageToken": token, "historyLength": 0})).await,
        );
        seen.extend(page["tasks"].as_array().unwrap().iter().map(|task| task["id"].to_string()));
        token = page["nextPageToken"].clone();
        if token == "" {
            break;
        }
    }
    assert!(seen.contains(&alone["id"].to_string()) && seen.len() > 1000, "{}", seen.len());
}
