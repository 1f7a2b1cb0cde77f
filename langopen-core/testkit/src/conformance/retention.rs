//! Threads that expire or are pruned, and their storage space.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use langopen_core::clock::Timestamp;
use langopen_core::ids::ThreadId;
use langopen_core::json::JsonMap;
use langopen_core::model::{
    Blob, CheckpointKey, CheckpointList, IfExists, NewCheckpoint, NewRun, NewThread, PruneStrategy, RunThread,
    ThreadPatch, ThreadStatus, ThreadTtl, Volume,
};
use langopen_core::tenant::Scope;
use serde_json::{Value, json};

use super::Fixture;
use super::support::{
    SECOND, checkpoint, foreign, map, outcome, owned_by, raw, scope, state, thread_id, write, writes,
};

const MINUTE: Duration = Duration::from_secs(60);

fn ttl(strategy: PruneStrategy, minutes: f64) -> Option<ThreadTtl> {
    Some(ThreadTtl { strategy, minutes })
}

impl Fixture {
    async fn expiring(&self, scope: &Scope, ttl: Option<ThreadTtl>) -> ThreadId {
        let new = NewThread { thread_id: thread_id(), metadata: JsonMap::new(), ttl };
        self.threads().create_thread(scope, new, IfExists::Raise).await.expect("a new thread").thread_id
    }

    async fn sweep(&self, limit: u32) -> (Vec<ThreadId>, Vec<ThreadId>) {
        let done = self.threads().sweep_threads(limit).await.expect("sweep");
        (done.deleted, done.cut)
    }

    async fn expires_at(&self, id: ThreadId) -> Option<Timestamp> {
        self.row(id).await.expires_at()
    }

    async fn prune(&self, ids: &[ThreadId], strategy: PruneStrategy) -> (Vec<ThreadId>, Vec<ThreadId>) {
        let mut done = self.threads().prune_threads(&scope(), ids, strategy).await.expect("prune");
        done.deleted.sort();
        done.cut.sort();
        (done.deleted, done.cut)
    }

    /// The namespace and id of each checkpoint, sorted.
    async fn keys(&self, id: ThreadId) -> Vec<(String, String)> {
        let list = self.checkpoints().list_checkpoints(&scope(), id, &CheckpointList::default()).await.expect("list");
        let mut keys: Vec<_> = list.into_iter().map(|each| (each.checkpoint_ns, each.checkpoint_id)).collect();
        keys.sort();
        keys
    }
}

fn owned(keys: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut keys: Vec<_> = keys.iter().map(|(ns, id)| ((*ns).to_owned(), (*id).to_owned())).collect();
    keys.sort();
    keys
}

/// A checkpoint with two channels: `kept` never changes, `log` has a new version in each.
fn step(thread_id: ThreadId, ns: &str, id: &str, parent: Option<&str>, metadata: Value) -> NewCheckpoint {
    let blob = |channel: &str, version: &str, bytes: &[u8]| Blob {
        channel: channel.to_owned(),
        version: version.to_owned(),
        kind: "msgpack".to_owned(),
        bytes: Bytes::copy_from_slice(bytes),
    };
    NewCheckpoint {
        checkpoint_ns: ns.to_owned(),
        parent_checkpoint_id: parent.map(str::to_owned),
        metadata: raw(metadata),
        channel_versions: vec![("kept".to_owned(), "1".to_owned()), ("log".to_owned(), id.to_owned())],
        blobs: vec![blob("kept", "1", b"same"), blob("log", id, id.as_bytes())],
        ..checkpoint(thread_id, id)
    }
}

/// A thread is removed when nothing has happened on it for its time to live, and not earlier. Other threads stay.
pub async fn a_thread_expires_when_nothing_happens(backend: &Fixture) {
    let mortal = backend.expiring(&scope(), ttl(PruneStrategy::Delete, 1.5)).await;
    let later = backend.expiring(&scope(), ttl(PruneStrategy::Delete, 2.0)).await;
    let abroad = backend.expiring(&foreign(), ttl(PruneStrategy::Delete, 1.0)).await;
    let immortal = backend.expiring(&scope(), None).await;
    let row = backend.row(mortal).await;
    assert_eq!(row.ttl, ttl(PruneStrategy::Delete, 1.5));
    assert_eq!(row.expires_at(), Some(backend.now().plus(SECOND * 90)));
    assert_eq!(backend.expires_at(immortal).await, None);
    backend.put(checkpoint(mortal, "1")).await;
    backend.clock.advance(SECOND * 90 - Duration::from_micros(1));
    assert_eq!(backend.sweep(10).await, (vec![abroad], vec![]), "of any tenant");
    backend.clock.advance(Duration::from_micros(1));
    assert_eq!(backend.sweep(10).await, (vec![mortal], vec![]));
    assert_eq!(backend.threads().thread(&scope(), mortal).await.expect("read"), None);
    assert_eq!(backend.sweep(10).await, (vec![], vec![]), "once");
    backend.clock.advance(MINUTE * 100_000);
    assert_eq!(backend.sweep(10).await, (vec![later], vec![]));
    assert!(backend.threads().thread(&scope(), immortal).await.expect("read").is_some());
}

/// A change of the row restarts the time to live: a patch, a state, the end of a run. A busy thread is never removed.
pub async fn what_happens_puts_the_expiry_off(backend: &Fixture) {
    let id = backend.expiring(&scope(), ttl(PruneStrategy::Delete, 1.0)).await;
    let patch = |ttl| ThreadPatch::default().with_metadata(map(json!({"k": 1}))).with_ttl(ttl);
    backend.clock.advance(SECOND * 59);
    backend.threads().update_thread(&scope(), id, patch(None)).await.expect("patch");
    assert_eq!(backend.expires_at(id).await, Some(backend.now().plus(MINUTE)), "a patch does not change the ttl");
    backend.clock.advance(SECOND * 59);
    backend.set_state(id, ThreadStatus::Interrupted, state("1", json!({}))).await;
    backend.clock.advance(SECOND * 59);
    assert_eq!(backend.sweep(10).await, (vec![], vec![]));
    let claim = backend.running(id).await;
    backend.clock.advance(MINUTE * 10);
    assert_eq!(backend.sweep(10).await, (vec![], vec![]), "a run is running");
    let waiting = backend.add_run(id).await;
    backend.queue().heartbeat(&[claim.lease()], MINUTE).await.expect("heartbeat");
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    backend.clock.advance(MINUTE * 10);
    assert_eq!(backend.sweep(10).await, (vec![], vec![]), "a run is pending");
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, waiting);
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.expires_at(id).await, Some(backend.now().plus(MINUTE)));
    let longer = backend.threads().update_thread(&scope(), id, patch(ttl(PruneStrategy::KeepLatest, 5.0))).await;
    assert_eq!(longer.expect("patch").expires_at(), Some(backend.now().plus(MINUTE * 5)));
    backend.clock.advance(MINUTE * 5);
    assert_eq!(backend.sweep(10).await, (vec![], vec![id]), "as the new ttl says");
}

/// A thread that a run creates gets the run's time to live; an existing thread keeps its own. A copy has the one of its
/// source.
pub async fn runs_and_copies_give_threads_a_ttl(backend: &Fixture) {
    let with_ttl = |id, ttl| {
        let new = backend.new_run(id);
        NewRun { thread: RunThread { ttl, ..new.thread.clone() }, ..new }
    };
    let (made, kept) = (thread_id(), backend.expiring(&scope(), None).await);
    for id in [made, kept] {
        backend.enqueue(with_ttl(id, ttl(PruneStrategy::KeepLatest, 3.0))).await;
    }
    assert_eq!(backend.row(made).await.ttl, ttl(PruneStrategy::KeepLatest, 3.0));
    assert_eq!(backend.row(kept).await.ttl, None);
    backend.enqueue(with_ttl(made, ttl(PruneStrategy::Delete, 9.0))).await;
    assert_eq!(backend.row(made).await.ttl, ttl(PruneStrategy::KeepLatest, 3.0));
    let copy = backend.threads().copy_thread(&scope(), made, thread_id()).await.expect("copy");
    assert_eq!(copy.ttl, ttl(PruneStrategy::KeepLatest, 3.0));
    assert_eq!(backend.row(copy.thread_id).await, copy);
}

/// A sweep prunes at most the given number of threads, those that expired first. A thread whose history was cut stays
/// and is cut again later.
pub async fn a_sweep_is_bounded_and_comes_back(backend: &Fixture) {
    let mut ids = Vec::new();
    for n in 0..5 {
        let strategy = if n == 2 { PruneStrategy::KeepLatest } else { PruneStrategy::Delete };
        ids.push(backend.expiring(&scope(), ttl(strategy, 1.0)).await);
        backend.clock.advance(SECOND);
    }
    for id in ["1", "2"] {
        backend.put(step(ids[2], "", id, None, json!({}))).await;
    }
    backend.clock.advance(MINUTE);
    let (mut deleted, cut) = backend.sweep(3).await;
    deleted.sort();
    assert_eq!((deleted, cut), (ids[..2].to_vec(), vec![ids[2]]));
    assert_eq!(backend.keys(ids[2]).await, owned(&[("", "2")]));
    let row = backend.row(ids[2]).await;
    assert_eq!(row.pruned_at, Some(backend.now()));
    assert_eq!(row.expires_at(), Some(backend.now().plus(MINUTE)), "its time to live starts anew");
    assert_eq!(backend.sweep(10).await.0.len(), 2);
    assert_eq!(backend.sweep(10).await, (vec![], vec![]));
    backend.put(step(ids[2], "", "3", Some("2"), json!({}))).await;
    backend.clock.advance(MINUTE);
    assert_eq!(backend.sweep(10).await, (vec![], vec![ids[2]]));
    assert_eq!(backend.keys(ids[2]).await, owned(&[("", "3")]));
}

/// Pruning affects the given threads that exist, are in the scope and are not busy, each once.
pub async fn pruning_skips_what_it_may_not_touch(backend: &Fixture) {
    for strategy in [PruneStrategy::Delete, PruneStrategy::KeepLatest] {
        let mine = backend.thread_with(json!({"owner": "ada"})).await.thread_id;
        let hidden = backend.thread_with(json!({"owner": "eve"})).await.thread_id;
        let abroad = backend.expiring(&foreign(), None).await;
        let (running, pending) = (backend.new_thread().await, backend.new_thread().await);
        backend.running(running).await;
        backend.add_run(pending).await;
        let ids = [mine, thread_id(), mine, abroad, running, pending];
        let done = |ids: Vec<ThreadId>| match strategy {
            PruneStrategy::Delete => (ids, vec![]),
            PruneStrategy::KeepLatest => (vec![], ids),
        };
        let by_ada = backend.threads().prune_threads(&owned_by("ada"), &[hidden], strategy).await.expect("prune");
        assert_eq!((by_ada.deleted, by_ada.cut), (vec![], vec![]), "what the scope hides");
        assert_eq!(backend.prune(&ids, strategy).await, done(vec![mine]));
        let row = backend.threads().thread(&scope(), mine).await.expect("read");
        assert_eq!(row.is_none(), strategy == PruneStrategy::Delete);
        for id in [hidden, running, pending] {
            assert_eq!(backend.row(id).await.pruned_at, None);
        }
        assert!(backend.threads().thread(&foreign(), abroad).await.expect("read").is_some());
        assert_eq!(backend.prune(&[], strategy).await, (vec![], vec![]));
        let many: Vec<_> = (0..250).map(|_| thread_id()).chain([hidden]).collect();
        assert_eq!(backend.prune(&many, strategy).await, done(vec![hidden]));
        for claim in backend.claim_all().await {
            backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
        }
    }
}

/// Cutting a history retains the newest checkpoint of each namespace, with all its data.
pub async fn the_latest_checkpoint_is_kept_whole(backend: &Fixture) {
    let id = backend.new_thread().await;
    for (n, ns) in [("1", ""), ("2", ""), ("3", ""), ("1", "sub"), ("2", "sub")] {
        let parent = (n != "1").then(|| (n.parse::<u32>().expect("a number") - 1).to_string());
        backend.put(step(id, ns, n, parent.as_deref(), json!({"step": 1}))).await;
    }
    for n in ["1", "3"] {
        let kept = writes(id, n, vec![write("task", 0, b"write")]);
        backend.checkpoints().put_writes(&scope(), kept).await.expect("put writes");
    }
    let kept_state = state("3", json!({"n": 3}));
    backend.set_state(id, ThreadStatus::Interrupted, kept_state.clone()).await;
    let key = CheckpointKey { thread_id: id, checkpoint_ns: String::new(), checkpoint_id: None };
    let before = (backend.checkpoints().checkpoint(&scope(), &key).await.expect("read"), backend.row(id).await);

    assert_eq!(backend.prune(&[id], PruneStrategy::KeepLatest).await, (vec![], vec![id]));
    assert_eq!(backend.keys(id).await, owned(&[("", "3"), ("sub", "2")]));
    assert_eq!(
        backend.checkpoints().checkpoint(&scope(), &key).await.expect("read"),
        before.0,
        "with values and writes"
    );
    let mut row = backend.row(id).await;
    assert_eq!(row.pruned_at.take(), Some(backend.now()));
    assert_eq!(row, before.1, "the row stays");
    assert_eq!(backend.threads().latest_state(&scope(), id).await.expect("read"), Some(kept_state));
    let storage = backend.threads().thread_storage(&scope(), id).await.expect("read").expect("there");
    assert_eq!((storage.checkpoints.count, storage.pending_writes.count), (2, 1));
    assert_eq!((storage.channels["kept"].count, storage.channels["log"].count), (2, 2), "no blob is left over");
    backend.put(step(id, "", "4", Some("3"), json!({}))).await;
    assert_eq!(backend.keys(id).await.len(), 3, "the thread continues");
}

/// Namespaces of finished tasks are removed. Ancestors from which a value is computed stay.
pub async fn what_the_latest_needs_is_kept(backend: &Fixture) {
    let id = backend.new_thread().await;
    let put = async |ns: &str, n: &str, parent: Option<&str>, metadata: Value| {
        backend.put(step(id, ns, n, parent, metadata)).await;
        let of_it = langopen_core::model::PendingWrites {
            checkpoint_ns: ns.to_owned(),
            ..writes(id, n, vec![write("task", 0, b"w")])
        };
        backend.checkpoints().put_writes(&scope(), of_it).await.expect("put writes");
    };
    let since = |log: [u32; 2]| json!({"parents": {}, "counters_since_delta_snapshot": {"log": log}});
    put("", "1", None, json!({"parents": {}})).await;
    put("", "2", Some("1"), json!({"parents": {}})).await;
    put("", "3", Some("2"), since([1, 1])).await;
    put("", "4", Some("3"), since([2, 2])).await;
    put("over:1", "2", None, json!({"parents": {"": "2"}})).await;
    put("open:1", "1", None, json!({"parents": {"": "4"}})).await;
    put("open:1", "2", Some("1"), json!({"parents": {"": "4"}})).await;
    put("open:1|in:1", "3", None, json!({"parents": {"": "4", "open:1": "2"}})).await;
    put("open:1|in:0", "3", None, json!({"parents": {"": "4", "open:1": "1"}})).await;
    put("lasting", "2", None, json!({"parents": {"": "1"}})).await;
    backend.prune(&[id], PruneStrategy::KeepLatest).await;
    let kept = [("", "2"), ("", "3"), ("", "4"), ("open:1", "2"), ("open:1|in:1", "3"), ("lasting", "2")];
    assert_eq!(backend.keys(id).await, owned(&kept));
    let storage = backend.threads().thread_storage(&scope(), id).await.expect("read").expect("there");
    assert_eq!(storage.pending_writes.count, kept.len() as u64, "each with its writes");
}

/// The storage space of a thread's checkpoints is counted by kind and channel.
pub async fn what_a_thread_takes_is_told(backend: &Fixture) {
    let id = backend.new_thread().await;
    let volume = async |scope: &Scope| backend.threads().thread_storage(scope, id).await.expect("read");
    assert_eq!(volume(&scope()).await, Some(langopen_core::model::ThreadStorage::default()));
    for n in ["1", "22"] {
        backend.put(step(id, "", n, None, json!({}))).await;
    }
    backend.put(step(id, "sub", "1", None, json!({"é": 1}))).await;
    let kept = writes(id, "1", vec![write("task", 0, b"12345"), write("task", 1, b"")]);
    backend.checkpoints().put_writes(&scope(), kept).await.expect("put writes");
    let storage = volume(&scope()).await.expect("there");
    let metadata = "{}".len() * 2 + "{\"é\":1}".len();
    assert_eq!(storage.checkpoints, Volume { count: 3, bytes: (3 * b"checkpoint".len() + metadata) as u64 });
    let channels = [("kept", Volume { count: 2, bytes: 8 }), ("log", Volume { count: 3, bytes: 4 })];
    assert_eq!(storage.channels, BTreeMap::from(channels.map(|(name, volume)| (name.to_owned(), volume))));
    assert_eq!(storage.pending_writes, Volume { count: 2, bytes: 5 });
    for hidden in [foreign(), owned_by("eve")] {
        assert_eq!(volume(&hidden).await, None);
    }
}
