//! The rows of threads.

use langopen_core::error::ErrorKind;
use langopen_core::model::{
    Blob, CheckpointKey, CheckpointList, IfExists, NewThread, RunQuery, ThreadPatch, ThreadStatus,
};
use langopen_core::queue::Outcome;
use serde_json::json;

use super::support::{SECOND, checkpoint, map, outcome, raw, refused, scope, state, thread_id, write, writes};
use super::{Fixture, Need};

/// A new thread is idle and has no values, interrupts or error.
pub async fn a_new_thread_is_idle_and_bare(backend: &Fixture) {
    let made = backend.thread_with(json!({"user": "ada"})).await;
    assert_eq!(made.status, ThreadStatus::Idle);
    assert_eq!((&made.values, &made.interrupts, &made.error), (&None, &None, &None));
    assert_eq!((made.metadata.clone(), made.config.len()), (map(json!({"user": "ada"})), 0));
    assert_eq!([made.created_at, made.updated_at, made.state_updated_at], [backend.now(); 3]);
    assert_eq!(backend.row(made.thread_id).await, made, "the row that is read equals the created row");
    assert_eq!(backend.threads().thread(&scope(), thread_id()).await.expect("read"), None);
}

/// Creating with a taken id fails, or returns the existing row unchanged.
pub async fn a_taken_id_is_refused_or_returned(backend: &Fixture) {
    let first = backend.thread_with(json!({"n": 1})).await;
    let again = NewThread { thread_id: first.thread_id, metadata: map(json!({"n": 2})), ttl: None };
    let raised = backend.threads().create_thread(&scope(), again.clone(), IfExists::Raise).await;
    refused(raised, ErrorKind::AlreadyExists, "creating over a taken id");
    let there = backend.threads().create_thread(&scope(), again, IfExists::DoNothing).await.expect("do nothing");
    assert_eq!(there, first, "the row that exists is returned unchanged");
    assert_eq!(backend.row(first.thread_id).await, first);
}

/// A patch merges metadata key by key, and changes no time except `updated_at`.
pub async fn a_patch_merges_metadata(backend: &Fixture) {
    let thread = backend.thread_with(json!({"a": {"x": 1}, "b": 1})).await;
    backend.clock.advance(SECOND);
    let patch = ThreadPatch::default().with_metadata(map(json!({"a": {"y": 2}, "c": null})));
    let patched = backend.threads().update_thread(&scope(), thread.thread_id, patch).await.expect("update");
    assert_eq!(
        patched.metadata,
        map(json!({"a": {"y": 2}, "b": 1, "c": null})),
        "a key's value is replaced completely"
    );
    assert_eq!((patched.updated_at, patched.state_updated_at), (backend.now(), thread.state_updated_at));
    assert_eq!(backend.row(thread.thread_id).await, patched);
    let missing = backend.threads().update_thread(&scope(), thread_id(), ThreadPatch::default()).await;
    refused(missing, ErrorKind::NotFound, "updating no thread");
}

/// Deleting a thread removes its runs and checkpoints: a new thread with its id has none.
pub async fn a_deleted_thread_leaves_nothing_behind(backend: &Fixture) {
    let id = backend.new_thread().await;
    let running = backend.running(id).await;
    let pending = backend.add_run(id).await;
    backend
        .put(langopen_core::model::NewCheckpoint {
            channel_versions: vec![("messages".to_owned(), "1".to_owned())],
            blobs: vec![blob("messages", "1", b"old")],
            ..checkpoint(id, "1")
        })
        .await;
    backend.checkpoints().put_writes(&scope(), writes(id, "1", vec![write("task", 0, b"w")])).await.expect("writes");
    let mut signals = backend.queue().cancels();
    let mut gone = backend.threads().delete_thread(&scope(), id).await.expect("delete");
    gone.sort();
    assert_eq!(gone, [running.run.run_id, pending], "the runs whose streams must be closed");
    if backend.has(Need::Hints) {
        let told = std::iter::from_fn(|| signals.try_recv().ok()).any(|signal| signal.run_id == running.run.run_id);
        assert!(told, "the worker of the running run receives a cancel");
    }
    refused(backend.threads().delete_thread(&scope(), id).await, ErrorKind::NotFound, "deleting twice");
    assert_eq!(backend.threads().thread(&scope(), id).await.expect("read"), None);
    refused(backend.queue().finish(running.lease(), outcome()).await, ErrorKind::LeaseLost, "the running run's worker");

    let new = NewThread { thread_id: id, metadata: map(json!({})), ttl: None };
    backend.threads().create_thread(&scope(), new, IfExists::Raise).await.expect("the id is free again");
    let query = RunQuery::default().with_limit(10);
    assert_eq!(backend.runs().list_runs(&scope(), id, &query).await.expect("list").items, [], "no run is left");
    assert_eq!(backend.run(id, pending).await, None);
    assert_eq!(backend.claimed_ids().await, [], "no run is left to claim");
    let list = CheckpointList::default();
    assert_eq!(
        backend.checkpoints().list_checkpoints(&scope(), id, &list).await.expect("list"),
        [],
        "no checkpoint is left"
    );
    // A new checkpoint that refers to the old blob and the old writes must find neither.
    let channel_versions = vec![("messages".to_owned(), "1".to_owned())];
    backend.put(langopen_core::model::NewCheckpoint { channel_versions, ..checkpoint(id, "1") }).await;
    let key = CheckpointKey { thread_id: id, checkpoint_ns: String::new(), checkpoint_id: None };
    let tuple = backend.checkpoints().checkpoint(&scope(), &key).await.expect("read").expect("the new checkpoint");
    assert_eq!((tuple.channel_values, tuple.pending_writes), (vec![], vec![]), "no blob and no write is left");
}

fn blob(channel: &str, version: &str, bytes: &'static [u8]) -> Blob {
    let (channel, version) = (channel.to_owned(), version.to_owned());
    Blob { channel, version, kind: "msgpack".to_owned(), bytes: bytes::Bytes::from_static(bytes) }
}

/// A copy has the metadata, config, values and checkpoints of its source, is idle, and is independent of it.
pub async fn a_copy_is_whole_and_independent(backend: &Fixture) {
    let source = backend.thread_with(json!({"user": "ada"})).await.thread_id;
    let mut new = backend.new_run(source);
    new.thread.config = map(json!({"tags": ["t"]}));
    backend.enqueue(new).await;
    let claim = backend.claim_one().await;
    backend
        .put(langopen_core::model::NewCheckpoint {
            run_id: Some(claim.run.run_id),
            channel_versions: vec![("messages".to_owned(), "1".to_owned())],
            blobs: vec![blob("messages", "1", b"value")],
            metadata: raw(json!({"step": 1, "thread_id": source})),
            ..checkpoint(source, "1")
        })
        .await;
    backend
        .checkpoints()
        .put_writes(&scope(), writes(source, "1", vec![write("task", 0, b"w")]))
        .await
        .expect("writes");
    let end =
        Outcome { state: Some(state("1", json!({"n": 1}))), thread_status: ThreadStatus::Interrupted, ..outcome() };
    backend.queue().finish(claim.lease(), end).await.expect("finish");
    backend.clock.advance(SECOND);

    let copy_id = thread_id();
    let copy = backend.threads().copy_thread(&scope(), source, copy_id).await.expect("copy");
    assert_eq!(copy, backend.row(copy_id).await, "the returned row equals the stored row");
    let original = backend.row(source).await;
    assert_eq!((&copy.metadata, &copy.config, &copy.values), (&original.metadata, &original.config, &original.values));
    assert_eq!((copy.status, copy.created_at), (ThreadStatus::Idle, backend.now()));
    let list = CheckpointList::default();
    let copied = backend.checkpoints().list_checkpoints(&scope(), copy_id, &list).await.expect("list");
    let mut expected = backend.checkpoints().list_checkpoints(&scope(), source, &list).await.expect("list");
    for tuple in &mut expected {
        tuple.thread_id = copy_id;
        tuple.metadata = raw(json!({"step": 1, "thread_id": copy_id}));
    }
    assert_eq!((copied.len(), &copied), (1, &expected), "the checkpoints are those of the source");
    assert_eq!((copied[0].channel_values.len(), copied[0].pending_writes.len()), (1, 1));
    assert!(
        backend
            .runs()
            .list_runs(&scope(), copy_id, &RunQuery::default().with_limit(10))
            .await
            .expect("list")
            .items
            .is_empty()
    );

    backend.threads().delete_thread(&scope(), source).await.expect("delete the source");
    assert_eq!(
        backend.checkpoints().list_checkpoints(&scope(), copy_id, &list).await.expect("list"),
        expected,
        "the copy is unchanged"
    );
    refused(
        backend.threads().copy_thread(&scope(), source, thread_id()).await,
        ErrorKind::NotFound,
        "copying no thread",
    );
    refused(
        backend.threads().copy_thread(&scope(), copy_id, copy_id).await,
        ErrorKind::AlreadyExists,
        "copying to a taken id",
    );
}

/// Any text in metadata, values and names is returned unchanged.
pub async fn any_text_comes_back_unchanged(backend: &Fixture) {
    let texts = [
        "",
        " ",
        "'; DROP TABLE threads; --",
        "%_\\",
        "\u{1}\u{1f}\u{7f}",
        "ÄßИ漢字",
        "🧵👩‍👩‍👧",
        "\u{feff}\u{200b}\u{fffd}",
        "\u{10ffff}",
    ];
    for text in texts {
        let thread = backend.thread_with(json!({text: [text, {"k": text}]})).await;
        let patch = ThreadPatch::default().with_metadata(map(json!({"text": text})));
        backend.threads().update_thread(&scope(), thread.thread_id, patch).await.expect("update");
        let kept = state("1", json!({"values": text}));
        backend.set_state(thread.thread_id, ThreadStatus::Idle, kept.clone()).await;
        let row = backend.row(thread.thread_id).await;
        assert_eq!(row.metadata[text], json!([text, {"k": text}]), "{text:?}");
        assert_eq!((row.metadata["text"].as_str(), row.values), (Some(text), Some(kept.values)), "{text:?}");
    }
}
