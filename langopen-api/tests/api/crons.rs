//! Crons as rows. Only the worker fires them.

use std::sync::Arc;

use async_trait::async_trait;
use langopen_core::auth::{Action, Auth, Credentials, Decision, Identity, Resource};
use langopen_core::storage::Crons;
use langopen_core::{CronId, Result, Scope, Tenant};
use serde_json::{Value, json};

use crate::harness::{NOWHERE, Server, quick, server, server_with};

/// A cron that does not become due during the test.
fn yearly() -> Value {
    json!({"assistant_id": "echo", "schedule": "0 0 1 1 *", "input": {"log": []}, "metadata": {"m": 1}})
}

async fn create(server: &Server, body: Value) -> Value {
    server.post("/runs/crons", body).await.ok()
}

async fn patch(server: &Server, cron: &Value, body: Value) -> crate::harness::Answer {
    let path = format!("/runs/crons/{}", cron["cron_id"].as_str().unwrap());
    server.send("PATCH", &path, &[], body.to_string()).await
}

#[tokio::test]
async fn a_cron_shows_the_body_of_its_runs() {
    let server = server().await;
    let body = json!({
        "assistant_id": "echo", "schedule": "*/10 * * * *", "timezone": "Asia/Kolkata", "end_time": "2100-01-01T00:00:00",
        "input": {"n": 1e2}, "metadata": {"m": 1, "run_id": "spoof"}, "config": {"configurable": {"a": 1}}, "stream_mode": "updates",
        "on_run_completed": "keep", "unknown": true,
    });
    let cron = create(&server, body).await;
    let keys: Vec<_> = cron.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "cron_id",
            "assistant_id",
            "thread_id",
            "user_id",
            "end_time",
            "schedule",
            "timezone",
            "payload",
            "next_run_date",
            "metadata",
            "on_run_completed",
            "enabled",
            "created_at",
            "updated_at"
        ]
    );
    let id = &cron["cron_id"];
    assert_eq!(
        cron["payload"],
        json!({
            "assistant_id": cron["assistant_id"], "schedule": "*/10 * * * *", "timezone": "Asia/Kolkata",
            "end_time": "2100-01-01T00:00:00", "input": {"n": 1e2}, "metadata": {"m": 1, "run_id": "spoof"},
            "config": {"configurable": {"a": 1, "cron_id": id}}, "stream_mode": "updates", "on_run_completed": "keep",
        })
    );
    let shown = |key: &str| cron[key].clone();
    assert_eq!(shown("end_time"), "2100-01-01T00:00:00+00:00");
    assert_eq!((shown("metadata"), shown("thread_id")), (json!({"m": 1}), Value::Null));
    assert_eq!(
        (shown("on_run_completed"), shown("enabled"), shown("user_id")),
        (json!("keep"), json!(true), json!(""))
    );
    let next = cron["next_run_date"].as_str().unwrap();
    assert!(next.ends_with("0:00+00:00") && next.len() == "2026-11-23T14:40:00+00:00".len(), "{next}");
    assert_eq!(server.get(&format!("/runs/crons/{}", id.as_str().unwrap())).await.ok(), cron);

    let thread = server.thread().await;
    let body =
        json!({"assistant_id": "echo", "schedule": "* * * * * *", "multitask_strategy": "reject", "enabled": false});
    let cron = server.post(&format!("/threads/{thread}/runs/crons"), body).await.ok();
    assert_eq!((&cron["thread_id"], &cron["on_run_completed"]), (&json!(thread), &Value::Null));
    assert_eq!((&cron["enabled"], &cron["payload"]["multitask_strategy"]), (&json!(false), &json!("reject")));
}

#[tokio::test]
async fn a_bad_cron_is_refused_by_name() {
    let server = server().await;
    let with = |key: &str, value: Value| {
        let mut body = yearly();
        body[key] = value;
        body
    };
    let mut bare = yearly();
    bare.as_object_mut().unwrap().shift_remove("assistant_id");
    let both = json!({"configurable": {"a": 1}});
    let mut excluded = with("config", both);
    excluded["context"] = json!({"b": 1});
    for (body, status, detail) in [
        (bare, 422, "\"assistant_id\" is a required property"),
        (json!({"assistant_id": "echo"}), 422, "\"schedule\" is a required property"),
        (with("schedule", json!("bad")), 422, "Invalid cron schedule: 'bad'. Reason: "),
        (with("schedule", json!("0 0 31 2 *")), 422, "Invalid cron schedule: '0 0 31 2 *'. Reason: It never fires."),
        (with("schedule", json!(5)), 422, "schedule: "),
        (
            with("timezone", json!("Mars/X")),
            422,
            "Invalid timezone: 'Mars/X'. Use IANA timezone format (e.g. 'America/New_York').",
        ),
        (with("end_time", json!("tomorrow")), 422, "end_time: "),
        (with("assistant_id", json!("nope")), 404, "Assistant 'nope' not found"),
        (with("assistant_id", json!(NOWHERE)), 404, "Assistant '"),
        (with("metadata", json!([])), 422, "metadata: "),
        (with("enabled", json!("yes")), 422, "enabled: "),
        (with("stream_mode", json!("loud")), 422, "stream_mode: "),
        (with("interrupt_before", json!(1)), 422, "interrupt_before: "),
        (with("on_run_completed", json!("burn")), 422, "on_run_completed: "),
        (with("durability", json!("never")), 422, "durability: "),
        (with("webhook", json!("")), 422, "webhook: "),
        (excluded, 400, "Cannot specify both configurable and context."),
    ] {
        let answer = server.post("/runs/crons", body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert!(answer.detail().starts_with(detail), "{body}: {}", answer.text);
    }
    let nowhere = server.post(&format!("/threads/{NOWHERE}/runs/crons"), yearly()).await;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.detail().starts_with(&format!("Thread with ID '{NOWHERE}' not found.")), "{}", nowhere.text);
    assert_eq!(server.post("/threads/x/runs/crons", yearly()).await.status, 422);
    for method in ["GET", "DELETE", "PATCH"] {
        let answer = server.send(method, "/runs/crons/x", &[], r#"{"enabled": true}"#).await;
        assert_eq!((answer.status.as_u16(), &*answer.detail()), (422, "Invalid cron ID: must be a UUID"), "{method}");
        let answer = server.send(method, &format!("/runs/crons/{NOWHERE}"), &[], r#"{"enabled": true}"#).await;
        let detail = if method == "PATCH" { format!("Cron '{NOWHERE}' not found") } else { "Not Found".to_owned() };
        assert_eq!((answer.status.as_u16(), answer.detail()), (404, detail), "{method}");
    }
    assert_eq!(server.post("/runs/crons/count", json!({})).await.ok(), json!(0), "nothing was kept");
}

#[tokio::test]
async fn a_patch_changes_only_the_named_fields() {
    let server = server().await;
    let mut body = yearly();
    body["config"] = json!({"configurable": {"a": 1}, "tags": ["t"]});
    let cron = create(&server, body).await;
    let changed =
        patch(&server, &cron, json!({"schedule": "0 12 * * *", "metadata": {"x": 2}, "input": {"b": 1}})).await.ok();
    assert_eq!(changed["metadata"], json!({"m": 1, "x": 2}));
    assert_eq!((&changed["payload"]["metadata"], &changed["payload"]["input"]), (&json!({"x": 2}), &json!({"b": 1})));
    assert_eq!((&changed["schedule"], &changed["payload"]["schedule"]), (&json!("0 12 * * *"), &json!("0 12 * * *")));
    assert!(changed["next_run_date"].as_str().unwrap().ends_with("T12:00:00+00:00"));
    assert_eq!(changed["payload"]["config"], cron["payload"]["config"]);

    let zoned = patch(&server, &cron, json!({"timezone": "Asia/Tokyo"})).await.ok();
    assert!(zoned["next_run_date"].as_str().unwrap().ends_with("T03:00:00+00:00"));
    let changed = patch(&server, &cron, json!({"config": {"tags": []}, "on_run_completed": "keep"})).await.ok();
    assert_eq!(changed["payload"]["config"], json!({"tags": [], "configurable": {"cron_id": cron["cron_id"]}}));
    assert_eq!(changed["on_run_completed"], "keep");

    let ended = patch(&server, &cron, json!({"end_time": "2020-01-01T00:00:00+02:00"})).await.ok();
    assert_eq!(ended["end_time"], "2019-12-31T22:00:00+00:00");
    assert_eq!(ended["next_run_date"], Value::Null);
    let endless = patch(&server, &cron, json!({"end_time": null})).await.ok();
    assert_eq!((&endless["end_time"], &endless["payload"]["end_time"]), (&Value::Null, &Value::Null));
    assert_eq!(endless["next_run_date"], zoned["next_run_date"]);
    let off = patch(&server, &cron, json!({"enabled": false})).await.ok();
    assert_eq!((&off["enabled"], &off["payload"]["enabled"]), (&json!(false), &json!(false)));

    for (body, status, detail) in [
        (json!({}), 400, "Request body cannot be empty"),
        (json!({"schedule": "x"}), 422, "Invalid cron schedule: 'x'."),
        (json!({"schedule": "0 0 30 2 *"}), 422, "Invalid cron schedule: "),
        (json!({"timezone": "x"}), 422, "Invalid timezone: 'x'."),
        (json!({"end_time": "x"}), 422, "end_time: "),
        (json!({"end_time": 1}), 422, "end_time: "),
        (json!({"enabled": 1}), 422, "enabled: "),
    ] {
        let answer = patch(&server, &cron, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert!(answer.detail().starts_with(detail), "{body}: {}", answer.text);
    }
    patch(&server, &cron, json!({"context": {"c": 1}})).await.ok();
    let both = patch(&server, &cron, json!({"config": {"configurable": {"a": 1}}})).await;
    assert_eq!(both.status, 400, "{}", both.text);
    let empty = server.send("PATCH", &format!("/runs/crons/{}", cron["cron_id"].as_str().unwrap()), &[], "").await;
    assert_eq!(empty.status, 422);
}

#[tokio::test]
async fn crons_are_searched_counted_and_deleted() {
    let server = server().await;
    let thread = server.thread().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let mut body = yearly();
        body["metadata"] = json!({"n": n, "deep": {"a": 1}});
        body["enabled"] = json!(n != 1);
        let path = if n == 2 { format!("/threads/{thread}/runs/crons") } else { "/runs/crons".to_owned() };
        ids.push(server.post(&path, body).await.ok());
    }
    let search = async |body: Value| server.post("/runs/crons/search", body).await;
    let page = search(json!({"limit": 2, "select": ["cron_id", "schedule"]})).await;
    assert_eq!((page.header("x-pagination-total"), page.header("x-pagination-next")), ("3", "2"));
    assert_eq!(page.ok()[0], json!({"cron_id": ids[2]["cron_id"], "schedule": "0 0 1 1 *"}));
    for (body, found) in [
        (json!({}), vec![2, 1, 0]),
        (json!({"metadata": {"n": 1}}), vec![1]),
        (json!({"metadata": {"deep": {"a": 1}}, "enabled": true}), vec![2, 0]),
        (json!({"thread_id": thread}), vec![2]),
        (json!({"assistant_id": ids[0]["assistant_id"], "sort_by": "created_at", "sort_order": "asc"}), vec![0, 1, 2]),
        (json!({"assistant_id": NOWHERE}), vec![]),
        (json!({"offset": 2}), vec![0]),
    ] {
        let found: Vec<_> = found.into_iter().map(|n: usize| ids[n].clone()).collect();
        assert_eq!(search(body.clone()).await.ok(), json!(found), "{body}");
    }
    for body in [
        json!({"limit": 0}),
        json!({"limit": 1001}),
        json!({"offset": -1}),
        json!({"sort_by": "x"}),
        json!({"select": ["x"]}),
        json!({"assistant_id": "x"}),
        json!({"thread_id": "x"}),
        json!({"enabled": 1}),
    ] {
        assert_eq!(search(body.clone()).await.status, 422, "{body}");
    }
    let count = async |body: Value| server.post("/runs/crons/count", body).await;
    assert_eq!(count(json!({})).await.ok(), json!(3));
    assert_eq!(count(json!({"thread_id": thread, "metadata": {"n": 2}})).await.ok(), json!(1));
    assert_eq!(count(json!({"thread_id": "x"})).await.status, 422);

    let path = format!("/runs/crons/{}", ids[0]["cron_id"].as_str().unwrap());
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 404);
    assert_eq!(server.send("DELETE", &format!("/threads/{thread}"), &[], "").await.status, 204);
    assert_eq!(search(json!({})).await.ok(), json!([ids[1]]), "deleting a thread deletes its crons");
    let assistant = server.post("/assistants", json!({"graph_id": "echo"})).await.ok()["assistant_id"].clone();
    let mut body = yearly();
    body["assistant_id"] = assistant.clone();
    create(&server, body).await;
    let path = format!("/assistants/{}", assistant.as_str().unwrap());
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    assert_eq!(count(json!({})).await.ok(), json!(1), "deleting an assistant deletes its crons");
}

/// An authorizer that records the caller: the user that runs a run, and the user that created a cron.
struct Stamps;

#[async_trait]
impl Auth for Stamps {
    async fn authenticate(&self, _: &Credentials) -> Result<Identity> {
        let user = json!({"identity": "ada", "team": 7}).as_object().cloned();
        let permissions = vec!["run".to_owned()];
        Ok(Identity { tenant: Tenant::default(), identity: "ada".to_owned(), role: None, permissions, user })
    }

    async fn authorize(&self, who: &Identity, what: Resource, action: Action, value: &mut Value) -> Result<Decision> {
        match (what, action) {
            (Resource::Crons, Action::Create) => {
                assert_eq!(value["payload"]["input"], json!({"log": []}));
                value["metadata"]["maker"] = who.identity.clone().into();
            }
            (Resource::Crons, Action::Update) => value["metadata"] = json!({"changed": true}),
            (Resource::Threads, Action::CreateRun) if value["metadata"]["m"] == 2 => return Ok(Decision::Deny),
            (Resource::Threads, Action::CreateRun) => value["metadata"]["runner"] = who.identity.clone().into(),
            _ => {}
        }
        Ok(Decision::Allow)
    }
}

#[tokio::test]
async fn a_cron_acts_for_its_creator_with_the_rights_of_its_runs() {
    let server = server_with(|server| server.with_settings(quick()).with_auth(Arc::new(Stamps))).await;
    let cron = create(&server, yearly()).await;
    assert_eq!(cron["user_id"], "ada");
    assert_eq!(cron["metadata"], json!({"m": 1, "maker": "ada", "runner": "ada"}));
    let id: CronId = cron["cron_id"].as_str().unwrap().parse().unwrap();
    let creator = server.memory.cron(&Scope::default(), id).await.unwrap().unwrap().creator;
    assert_eq!((&*creator.identity, &*creator.permissions), ("ada", &["run".to_owned()][..]));
    assert_eq!(Value::from(creator.user.unwrap()), json!({"identity": "ada", "team": 7}));
    let changed = patch(&server, &cron, json!({"enabled": false})).await.ok();
    assert_eq!(changed["metadata"], json!({"m": 1, "maker": "ada", "runner": "ada", "changed": true}));
    let mut body = yearly();
    body["metadata"] = json!({"m": 2});
    let refused = server.post("/runs/crons", body).await;
    assert_eq!((refused.status.as_u16(), refused.detail()), (403, "Forbidden".to_owned()), "it may not create runs");
}
