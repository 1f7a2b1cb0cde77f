//! Hosts on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use langopen_core::auth::{Action, Auth, Credentials, Decision, Refusal, Resource};
use langopen_core::executor::{Executor, HistoryRequest, RunOutput, RunResultStatus, SchemasRequest};
use langopen_core::filter::MetadataFilter;
use langopen_core::model::{CheckpointList, ThreadStatus};
use langopen_core::{ErrorKind, RawJson, Tenant};
use langopen_runner::{AppAuth, AuthCacheSettings, HostError, HostPool, PoolGraph, PoolSettings};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Bench, bearer, interrupt, settings, to_the_end};

#[tokio::test]
async fn runs_keep_their_state_through_calls_back() {
    let bench = Bench::start(1).await;
    let thread_id = bench.thread().await;
    for turn in 1..=3 {
        let (outputs, _cancel) = bench.run("counter", thread_id, json!({"log": []})).await;
        let (names, result) = to_the_end(outputs).await.unwrap();
        assert_eq!(names, ["values", "values"]);
        assert_eq!((result.status, result.thread_status), (RunResultStatus::Success, ThreadStatus::Idle));
        let state = result.state.unwrap();
        let values: Value = state.values.decode().unwrap();
        assert_eq!(values["log"].as_array().unwrap().len(), turn);
        let key = langopen_core::model::CheckpointKey { thread_id, checkpoint_ns: String::new(), checkpoint_id: None };
        let newest = bench.context.checkpoint(&key).await.unwrap().unwrap();
        assert_eq!(Some(newest.checkpoint_id), state.checkpoint_id, "the result describes the newest checkpoint");
    }
    let config: RawJson = json!({"configurable": {"thread_id": thread_id}}).into();
    let request = HistoryRequest::new("counter", config, 100);
    let history = bench.pool.state_history(bench.context.clone(), request).await.unwrap();
    assert_eq!(history.len(), 9, "three checkpoints for each of three runs");
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn events_are_stored_before_the_checkpoint_that_follows_them() {
    let bench = Bench::start(1).await;
    for resumable in [false, true] {
        let thread_id = bench.thread().await;
        let input = json!({"log": []});
        let mut outputs = match resumable {
            true => bench.resumable("counter", thread_id, input).await,
            false => bench.run("counter", thread_id, input).await.0,
        };
        let steps = async || bench.context.list_checkpoints(thread_id, &CheckpointList::default()).await.unwrap().len();
        // The graph's initial state; after it, the reader pauses.
        outputs.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = steps().await;
        to_the_end(outputs).await.unwrap();
        let after = steps().await;
        assert_eq!(before < after, resumable, "{before} of {after}");
    }
}

#[tokio::test]
async fn a_cancel_stops_a_run_in_the_middle() {
    let bench = Bench::start(1).await;
    let (outputs, cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 60})).await;
    let begin = Instant::now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel.send_replace(interrupt());
    let (_, result) = to_the_end(outputs).await.unwrap();
    assert_eq!((result.status, result.thread_status), (RunResultStatus::Cancelled, ThreadStatus::Interrupted));
    assert!(begin.elapsed() < Duration::from_secs(30), "it did not sleep to its end");
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_blocked_host_is_passed_over_and_its_run_still_ends() {
    let bench = Bench::start(2).await;
    let (blocking, _cancel) = bench.run("blocking", bench.thread().await, json!({"seconds": 4})).await;
    let blocked = tokio::spawn(to_the_end(blocking));
    // Until the pool detects the missing signs of life, only the load matters.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for _ in 0..10 {
        let (outputs, _cancel) = bench.run("counter", bench.thread().await, json!({"log": []})).await;
        let (_, result) = to_the_end(outputs).await.unwrap();
        assert_eq!(result.status, RunResultStatus::Success);
        assert!(!blocked.is_finished(), "ten runs ended while the other host was blocked");
    }
    let (_, result) = blocked.await.unwrap().unwrap();
    assert_eq!(result.status, RunResultStatus::Success);
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_host_that_dies_loses_its_runs_and_is_started_again() {
    let bench = Bench::start(1).await;
    let (slow, _cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 60})).await;
    let (deadly, _cancel) = bench.run("deadly", bench.thread().await, json!({"log": []})).await;
    let (slow, deadly) = tokio::join!(to_the_end(slow), to_the_end(deadly));
    for lost in [slow, deadly] {
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    let (outputs, _cancel) = bench.run("counter", bench.thread().await, json!({"log": []})).await;
    assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_host_without_a_sign_of_life_is_replaced() {
    let settings = PoolSettings { unresponsive_after: Duration::from_secs(1), ..settings(1).await };
    let bench = Bench::with(settings).await;
    let (blocking, _cancel) = bench.run("blocking", bench.thread().await, json!({"seconds": 60})).await;
    assert_eq!(to_the_end(blocking).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let (outputs, _cancel) = bench.run("counter", bench.thread().await, json!({"log": []})).await;
    assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_run_that_nobody_reads_waits_and_holds_up_no_other() {
    let bench = Bench::start(1).await;
    let (mut unread, _cancel) = bench.run("flood", bench.thread().await, json!({"log": []})).await;
    let first = unread.next().await.unwrap().unwrap();
    assert!(matches!(first, RunOutput::Event { .. }));
    for _ in 0..5 {
        let (outputs, _cancel) = bench.run("counter", bench.thread().await, json!({"log": []})).await;
        assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    }
    let (names, result) = to_the_end(unread).await.unwrap();
    assert_eq!(result.status, RunResultStatus::Success);
    assert_eq!(names.iter().filter(|name| *name == "custom").count(), 200, "every event came in the end");
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_graph_that_cannot_be_loaded_says_which_and_why() {
    let mut settings = settings(1).await;
    settings
        .graphs
        .insert("missing".to_owned(), PoolGraph { target: "./graphs.py:nothing".to_owned(), description: None });
    let Err(HostError::Load(failure)) = HostPool::start(settings).await else { panic!("it must not start") };
    assert_eq!(failure.graph_id.as_deref(), Some("missing"));
    let text = failure.to_string();
    assert!(
        text.contains("./graphs.py:nothing") && text.contains("counter"),
        "names the target and what there is: {text}"
    );
}

#[tokio::test]
async fn an_unknown_graph_is_not_found() {
    let bench = Bench::start(1).await;
    let request = SchemasRequest::new("nobody", json!({}).into());
    let error = bench.pool.schemas(bench.context.clone(), request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn the_applications_login_decides_and_a_blocked_host_lets_nobody_in() {
    let mut settings = settings(1).await;
    settings.auth = Some("./login.py:auth".to_owned());
    let pool = Arc::new(HostPool::start(settings).await.unwrap());
    let auth = AppAuth::of(&pool).unwrap();
    assert!(auth.authenticates() && !auth.needs_body());
    assert!(auth.authorizes(Resource::Threads, Action::Create) && !auth.authorizes(Resource::Store, Action::Put));
    assert!(auth.uncovered().contains(&"crons.create".to_owned()));

    let refused = auth.authenticate(&Credentials::default()).await.unwrap_err();
    assert_eq!(Refusal::of(&refused), Some(&Refusal::new(401, "No token")));
    let alice = auth.authenticate(&bearer("alice")).await.unwrap();
    assert_eq!((alice.identity.as_str(), alice.tenant.as_str()), ("alice", "default/default/default"));
    let mut value = json!({"thread_id": Uuid::nil(), "metadata": {}});
    let decision = auth.authorize(&alice, Resource::Threads, Action::Read, &mut value).await.unwrap();
    assert_eq!(decision, Decision::Filter(MetadataFilter::Equals("owner".to_owned(), json!("alice"))));
    assert_eq!(value["seen"], json!(["UUID", "dict"]));

    let keys = vec!["Authorization".to_owned()];
    let ttl = Duration::from_secs(600);
    let auth = auth.with_cache(AuthCacheSettings { keys, ttl, max_size: 10 }).with_deadline(Duration::from_secs(2));
    auth.authenticate(&bearer("alice")).await.unwrap();
    let bench = Bench::of(pool, Tenant::default());
    let (blocking, _cancel) = bench.run("blocking", bench.thread().await, json!({"seconds": 30})).await;
    let blocked = tokio::spawn(to_the_end(blocking));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let silent = auth.authenticate(&bearer("bob")).await.unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::Unavailable);
    let silent = auth.authorize(&alice, Resource::Threads, Action::Read, &mut value).await.unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::Unavailable);
    assert!(!blocked.is_finished());
    assert_eq!(auth.authenticate(&bearer("alice")).await.unwrap().identity, "alice", "kept answers need no host");
    blocked.abort();
    bench.pool.shut_down().await;
}
