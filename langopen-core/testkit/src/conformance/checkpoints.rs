//! Checkpoints, blobs and writes.

use bytes::Bytes;
use langopen_core::error::ErrorKind;
use langopen_core::ids::ThreadId;
use langopen_core::model::{
    Blob, ChannelValue, CheckpointKey, CheckpointList, CheckpointTuple, NewCheckpoint, PendingWrite, PendingWrites,
    PruneStrategy,
};
use serde_json::json;

use super::Fixture;
use super::support::{checkpoint, map, raw, refused, scope, thread_id, write, writes};

fn blob(channel: &str, version: &str, kind: &str, bytes: &'static [u8]) -> Blob {
    let (channel, version, kind) = (channel.to_owned(), version.to_owned(), kind.to_owned());
    Blob { channel, version, kind, bytes: Bytes::from_static(bytes) }
}

fn value(channel: &str, kind: &str, bytes: &'static [u8]) -> ChannelValue {
    ChannelValue { channel: channel.to_owned(), kind: kind.to_owned(), bytes: Bytes::from_static(bytes) }
}

fn versions(versions: &[(&str, &str)]) -> Vec<(String, String)> {
    versions.iter().map(|(channel, version)| ((*channel).to_owned(), (*version).to_owned())).collect()
}

async fn read(backend: &Fixture, id: ThreadId, ns: &str, checkpoint_id: Option<&str>) -> Option<CheckpointTuple> {
    let checkpoint_id = checkpoint_id.map(str::to_owned);
    let key = CheckpointKey { thread_id: id, checkpoint_ns: ns.to_owned(), checkpoint_id };
    backend.checkpoints().checkpoint(&scope(), &key).await.expect("read")
}

async fn newest(backend: &Fixture, id: ThreadId) -> CheckpointTuple {
    read(backend, id, "", None).await.expect("a checkpoint")
}

/// Bytes are returned unchanged. Channels of kind `empty` and channels without a blob are omitted.
pub async fn a_checkpoint_comes_back_whole(backend: &Fixture) {
    let id = backend.new_thread().await;
    assert_eq!(read(backend, id, "", None).await, None);
    let new = NewCheckpoint {
        checkpoint_ns: "sub:1|leaf:2".to_owned(),
        parent_checkpoint_id: Some("0".to_owned()),
        bytes: Bytes::from_static(b"\x00\xff\x80not text"),
        metadata: raw(json!({"source": "loop", "step": -1, "parents": {"": "x"}})),
        channel_versions: versions(&[
            ("messages", "2.0"),
            ("__start__", "1"),
            ("nothing", "1"),
            ("lost", "7"),
            ("weird \"'[0]$é", "1"),
        ]),
        blobs: vec![
            blob("messages", "2.0", "msgpack", b"\x00\x01"),
            blob("__start__", "1", "null", b""),
            blob("nothing", "1", "empty", b""),
            blob("weird \"'[0]$é", "1", "bytes", b"w"),
        ],
        ..checkpoint(id, "1")
    };
    backend.put(new.clone()).await;
    let expected = CheckpointTuple {
        thread_id: id,
        checkpoint_ns: new.checkpoint_ns.clone(),
        checkpoint_id: "1".to_owned(),
        parent_checkpoint_id: new.parent_checkpoint_id,
        kind: new.kind,
        bytes: new.bytes,
        metadata: new.metadata,
        latest_id: Some("1".to_owned()),
        channel_values: vec![
            value("messages", "msgpack", b"\x00\x01"),
            value("__start__", "null", b""),
            value("weird \"'[0]$é", "bytes", b"w"),
        ],
        pending_writes: vec![],
    };
    assert_eq!(read(backend, id, "sub:1|leaf:2", Some("1")).await, Some(expected.clone()));
    assert_eq!(read(backend, id, "sub:1|leaf:2", None).await, Some(expected), "the latest of its namespace");
    assert_eq!(read(backend, id, "", None).await, None, "another namespace");
    assert_eq!(read(backend, id, "sub:1|leaf:2", Some("2")).await, None, "another id");
}

/// The latest checkpoint of a namespace is the one that was accepted last, whatever its id is, because ids carry the
/// clocks of hosts. All operations that need the latest agree, and a replaced checkpoint keeps its position.
pub async fn the_latest_is_what_was_accepted_last(backend: &Fixture) {
    let id = backend.new_thread().await;
    let order = async |id, list: CheckpointList| {
        let found = backend.checkpoints().list_checkpoints(&scope(), id, &list).await.expect("list");
        found.into_iter().map(|tuple| tuple.checkpoint_id).collect::<Vec<_>>()
    };
    for checkpoint_id in ["1f0-9", "1f0-1", "1f0-5"] {
        backend.put(checkpoint(id, checkpoint_id)).await;
        assert_eq!(newest(backend, id).await.checkpoint_id, checkpoint_id);
    }
    backend.put(NewCheckpoint { checkpoint_ns: "sub".to_owned(), ..checkpoint(id, "1f0-0") }).await;
    backend.put(NewCheckpoint { metadata: raw(json!({"again": 1})), ..checkpoint(id, "1f0-9") }).await;
    assert_eq!(
        newest(backend, id).await.checkpoint_id,
        "1f0-5",
        "another namespace, and a replacement, change nothing"
    );
    let old = read(backend, id, "", Some("1f0-9")).await.expect("the first one");
    assert_eq!(old.latest_id.as_deref(), Some("1f0-5"), "an older checkpoint has the latest id");
    let root = || CheckpointList::default().with_checkpoint_ns(Some(String::new()));
    assert_eq!(order(id, root()).await, ["1f0-5", "1f0-1", "1f0-9"]);
    assert_eq!(order(id, CheckpointList::default()).await, ["1f0-0", "1f0-5", "1f0-1", "1f0-9"]);
    let before = |id: &str| root().with_before(Some(id.to_owned()));
    assert_eq!(order(id, before("1f0-5")).await, ["1f0-1", "1f0-9"], "before a checkpoint");
    assert_eq!(order(id, before("1f0-9")).await, [""; 0], "before the first one");
    assert_eq!(
        order(id, before("1f0-2")).await,
        [""; 0],
        "an unknown id selects the checkpoints before all greater ids"
    );
    assert_eq!(order(id, before("1f0-a")).await, ["1f0-5", "1f0-1", "1f0-9"], "no id is greater");
    let copy = thread_id();
    backend.threads().copy_thread(&scope(), id, copy).await.expect("copy");
    assert_eq!(order(copy, root()).await, ["1f0-5", "1f0-1", "1f0-9"], "a copy keeps the order");
    backend.put(checkpoint(copy, "1f0-2")).await;
    assert_eq!(newest(backend, copy).await.checkpoint_id, "1f0-2");
    backend.threads().prune_threads(&scope(), &[id], PruneStrategy::KeepLatest).await.expect("prune");
    assert_eq!(order(id, root()).await, ["1f0-5"], "pruning keeps the latest");
    backend.checkpoints().delete_checkpoints(&scope(), id, None).await.expect("delete");
    backend.put(checkpoint(id, "1f0-3")).await;
    backend.put(checkpoint(id, "1f0-2")).await;
    assert_eq!(newest(backend, id).await.checkpoint_id, "1f0-2");
}

/// Putting the same id again replaces the checkpoint and removes unreferenced values.
pub async fn putting_again_replaces(backend: &Fixture) {
    let id = backend.new_thread().await;
    let first = NewCheckpoint {
        channel_versions: versions(&[("a", "1")]),
        blobs: vec![blob("a", "1", "msgpack", b"old")],
        ..checkpoint(id, "1")
    };
    backend.put(first.clone()).await;
    let second = NewCheckpoint {
        kind: "json".to_owned(),
        bytes: Bytes::from_static(b"second"),
        metadata: raw(json!({"again": true})),
        channel_versions: versions(&[("b", "1")]),
        blobs: vec![blob("b", "1", "msgpack", b"new")],
        ..checkpoint(id, "1")
    };
    backend.put(second.clone()).await;
    let tuple = newest(backend, id).await;
    assert_eq!((&tuple.kind, &tuple.bytes, &tuple.metadata), (&second.kind, &second.bytes, &second.metadata));
    assert_eq!(tuple.channel_values, [value("b", "msgpack", b"new")]);
    backend.put(NewCheckpoint { blobs: vec![], ..first }).await;
    assert_eq!(newest(backend, id).await.channel_values, [], "the value of the first checkpoint is removed with it");
}

/// The blob of a version is written once and shared by all checkpoints of its namespace with that version.
pub async fn blobs_are_shared_by_version(backend: &Fixture) {
    let id = backend.new_thread().await;
    let with = |checkpoint_id, blobs| NewCheckpoint {
        channel_versions: versions(&[("a", "1")]),
        blobs,
        ..checkpoint(id, checkpoint_id)
    };
    backend.put(with("1", vec![blob("a", "1", "msgpack", b"one")])).await;
    backend.put(with("2", vec![])).await;
    assert_eq!(newest(backend, id).await.channel_values, [value("a", "msgpack", b"one")], "shared");
    backend.put(with("3", vec![blob("a", "1", "msgpack", b"other")])).await;
    assert_eq!(newest(backend, id).await.channel_values, [value("a", "msgpack", b"one")], "it is unchanged");
    backend.put(NewCheckpoint { checkpoint_ns: "sub".to_owned(), ..with("1", vec![]) }).await;
    let sub = read(backend, id, "sub", None).await.expect("the subgraph's checkpoint");
    assert_eq!(sub.channel_values, [], "another namespace has its own blobs");
}

/// The first write at an index stays; at a negative index, the last one stays. Writes are sorted by task path, task and
/// index.
pub async fn writes_keep_the_first_unless_special(backend: &Fixture) {
    let id = backend.new_thread().await;
    backend.put(checkpoint(id, "1")).await;
    let put = async |task_path: &str, list: Vec<PendingWrite>| {
        let new = PendingWrites { task_path: task_path.to_owned(), ..writes(id, "1", list) };
        backend.checkpoints().put_writes(&scope(), new).await.expect("writes");
    };
    put("~2", vec![write("a", 1, b"a1"), write("a", 0, b"a0"), write("a", -3, b"first")]).await;
    put("~1", vec![write("z", 0, b"")]).await;
    put("~2", vec![write("a", 0, b"again"), write("a", 2, b"a2"), write("a", -3, b"last")]).await;
    let expected =
        [write("z", 0, b""), write("a", -3, b"last"), write("a", 0, b"a0"), write("a", 1, b"a1"), write("a", 2, b"a2")];
    assert_eq!(newest(backend, id).await.pending_writes, expected);
    backend.put(checkpoint(id, "2")).await;
    assert_eq!(newest(backend, id).await.pending_writes, [], "writes belong to one checkpoint");
}

/// A list is newest first, also across namespaces, and each filter narrows it.
pub async fn lists_are_newest_first_and_filtered(backend: &Fixture) {
    let id = backend.new_thread().await;
    for (n, ns) in [("1", ""), ("2", "sub"), ("3", ""), ("4", "sub"), ("5", "")] {
        let metadata = raw(json!({"source": if n == "3" { "update" } else { "loop" }, "w": {"n": [n]}}));
        backend.put(NewCheckpoint { checkpoint_ns: ns.to_owned(), metadata, ..checkpoint(id, n) }).await;
    }
    backend.checkpoints().put_writes(&scope(), writes(id, "3", vec![write("t", 0, b"w")])).await.expect("writes");
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        ("all", CheckpointList::default(), vec!["5", "4", "3", "2", "1"]),
        ("the root's", CheckpointList::default().with_checkpoint_ns(text("")), vec!["5", "3", "1"]),
        ("a subgraph's", CheckpointList::default().with_checkpoint_ns(text("sub")), vec!["4", "2"]),
        ("one", CheckpointList::default().with_checkpoint_id(text("4")), vec!["4"]),
        ("before", CheckpointList::default().with_before(text("3")), vec!["2", "1"]),
        ("metadata", CheckpointList::default().with_metadata(map(json!({"source": "update"}))), vec!["3"]),
        ("deep", CheckpointList::default().with_metadata(map(json!({"w": {"n": ["2"]}}))), vec!["2"]),
        ("few", CheckpointList::default().with_limit(Some(2)), vec!["5", "4"]),
        ("none", CheckpointList::default().with_limit(Some(0)), vec![]),
        (
            "the limit counts what fits",
            CheckpointList::default()
                .with_metadata(map(json!({"source": "loop"})))
                .with_checkpoint_ns(text(""))
                .with_limit(Some(2)),
            vec!["5", "1"],
        ),
    ];
    for (what, list, expected) in cases {
        let found = backend.checkpoints().list_checkpoints(&scope(), id, &list).await.expect("list");
        assert_eq!(found.iter().map(|tuple| tuple.checkpoint_id.as_str()).collect::<Vec<_>>(), expected, "{what}");
        for tuple in found {
            let single = read(backend, id, &tuple.checkpoint_ns, Some(&tuple.checkpoint_id)).await;
            let single = single.map(|single| CheckpointTuple { latest_id: None, ..single });
            assert_eq!(single, Some(tuple), "a listed checkpoint has all fields of one that is read alone");
        }
    }
}

/// A thread without a row accepts no checkpoints and no writes.
pub async fn a_missing_thread_is_refused(backend: &Fixture) {
    let id = thread_id();
    refused(
        backend.checkpoints().put_checkpoint(&scope(), checkpoint(id, "1")).await,
        ErrorKind::NotFound,
        "a checkpoint",
    );
    let new = writes(id, "1", vec![write("t", 0, b"w")]);
    refused(backend.checkpoints().put_writes(&scope(), new).await, ErrorKind::NotFound, "writes");
    assert_eq!(read(backend, id, "", None).await, None);
}

/// Deleting the checkpoints of a thread removes its blobs and writes. The thread's row and other threads' checkpoints
/// stay.
pub async fn deleting_checkpoints_leaves_the_thread(backend: &Fixture) {
    let (id, other) = (backend.new_thread().await, backend.new_thread().await);
    let with = |thread_id, blobs| NewCheckpoint {
        channel_versions: versions(&[("a", "1")]),
        blobs,
        ..checkpoint(thread_id, "1")
    };
    for thread_id in [id, other] {
        backend.put(with(thread_id, vec![blob("a", "1", "msgpack", b"one")])).await;
        backend
            .checkpoints()
            .put_writes(&scope(), writes(thread_id, "1", vec![write("t", 0, b"w")]))
            .await
            .expect("writes");
    }
    backend.checkpoints().delete_checkpoints(&scope(), id, None).await.expect("delete");
    assert_eq!(read(backend, id, "", None).await, None);
    backend.row(id).await;
    backend.put(with(id, vec![])).await;
    let tuple = newest(backend, id).await;
    assert_eq!((tuple.channel_values, tuple.pending_writes), (vec![], vec![]), "no blob and no write is left");
    let tuple = newest(backend, other).await;
    assert_eq!((tuple.channel_values.len(), tuple.pending_writes.len()), (1, 1), "another thread keeps its own");
}
