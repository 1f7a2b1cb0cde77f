//! The conformance suite over every backend, and tests of restarts, which only a file survives.

mod full_disk;
#[cfg(feature = "postgres")]
mod postgres;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_backends::sqlite::{Sqlite, SqliteOptions};
use langopen_core::clock::{Clock, ManualClock, Timestamp};
use langopen_core::event_log::{EventId, LogKey, NewEvent, ReadFrom};
use langopen_core::model::*;
use langopen_core::queue::ClaimRequest;
use langopen_core::storage::*;
use langopen_core::*;
use langopen_testkit::conformance::{CASES, Capabilities, Case, Fixture};
use serde_json::json;
use uuid::Uuid;

const RETENTION: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(30);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_123_456)))
}

/// Everything that a backend can do.
fn capable() -> Capabilities {
    Capabilities::default().with_similarity().with_retention(RETENTION).with_hints()
}

fn memory() -> Fixture {
    let clock = clock();
    let memory = Arc::new(Memory::with_clock(clock.clone()));
    let event_log = Arc::new(MemoryEventLog::new().with_clock(clock.clone()).with_retention(RETENTION));
    Fixture::new(clock).with_database(memory).with_event_log(event_log).with_capabilities(&capable())
}

async fn open(path: &Path, clock: Arc<ManualClock>) -> Sqlite {
    Sqlite::open(path, SqliteOptions::default().with_clock(clock)).await.expect("open the database")
}

async fn sqlite(folder: &Path) -> (Sqlite, Fixture) {
    let clock = clock();
    let db = open(&folder.join("langopen.db"), clock.clone()).await;
    let event_log = Arc::new(db.event_log().with_retention(RETENTION));
    let fixture = Fixture::new(clock).with_database(Arc::new(db.clone())).with_event_log(event_log);
    (db, fixture.with_capabilities(&capable()))
}

/// No row may refer to a thread, checkpoint or log that does not exist.
async fn assert_no_orphans(path: &Path) {
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(path))
        .await
        .expect("open the file");
    for (what, sql) in [
        ("runs", "SELECT count(*) FROM runs WHERE thread_id NOT IN (SELECT thread_id FROM threads)"),
        ("checkpoints", "SELECT count(*) FROM checkpoints WHERE thread_id NOT IN (SELECT thread_id FROM threads)"),
        (
            "blobs",
            "SELECT count(*) FROM checkpoint_blobs b WHERE NOT EXISTS (SELECT 1 FROM checkpoints c, json_each(c.channel_versions) v
                WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns
                AND json_extract(v.value, '$[0]') = b.channel AND json_extract(v.value, '$[1]') = b.version)",
        ),
        ("writes", "SELECT count(*) FROM checkpoint_writes WHERE thread_id NOT IN (SELECT thread_id FROM threads)"),
        ("versions", "SELECT count(*) FROM assistant_versions WHERE (tenant, assistant_id) NOT IN (SELECT tenant, assistant_id FROM assistants)"),
        (
            "crons",
            "SELECT count(*) FROM crons WHERE (tenant, assistant_id) NOT IN (SELECT tenant, assistant_id FROM assistants)
                OR (thread_id IS NOT NULL AND thread_id NOT IN (SELECT thread_id FROM threads))",
        ),
        ("events", "SELECT count(*) FROM events WHERE run_id IS NOT NULL AND run_id NOT IN (SELECT run_id FROM event_logs)"),
    ] {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.expect("count");
        assert_eq!(count, 0, "orphaned {what}");
    }
    pool.close().await;
}

/// Runs every case, and reports all failures instead of the first.
async fn run_all(run: impl AsyncFn(&'static Case)) {
    let only = std::env::var("CONFORMANCE").unwrap_or_default();
    let mut failed = Vec::new();
    for case in CASES.iter().filter(|case| case.name.contains(&only)) {
        let ran = std::panic::AssertUnwindSafe(run(case));
        if futures::FutureExt::catch_unwind(ran).await.is_err() {
            eprintln!("FAILED {}", case.name);
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "broken promises: {failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_its_promises() {
    run_all(async |case: &'static Case| (case.run)(memory()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_its_promises() {
    run_all(async |case: &'static Case| {
        let folder = tempfile::tempdir().unwrap();
        let (db, backend) = sqlite(folder.path()).await;
        (case.run)(backend).await;
        db.close().await;
        assert_no_orphans(&folder.path().join("langopen.db")).await;
    })
    .await;
}

fn new_run(clock: &ManualClock, thread_id: ThreadId) -> NewRun {
    NewRun {
        run_id: RunId(Uuid::now_v7()),
        thread_id,
        assistant_id: AssistantId::system("agent"),
        graph_id: "agent".to_owned(),
        metadata_base: JsonMap::new(),
        metadata_own: JsonMap::new(),
        kwargs: RawJson::default(),
        multitask_strategy: MultitaskStrategy::Enqueue,
        resumable: true,
        webhook: None,
        temporary: false,
        origin: Default::default(),
        available_at: clock.now(),
        thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
        firing: None,
    }
}

fn new_log() -> LogKey {
    LogKey { thread_id: ThreadId(Uuid::now_v7()), run_id: RunId(Uuid::now_v7()) }
}

#[tokio::test]
async fn another_process_may_look_in_beside_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("langopen.db");
    let (clock, scope, thread_id) = (clock(), Scope::default(), ThreadId(Uuid::now_v7()));
    let owner = open(&path, clock.clone()).await;
    owner.enqueue(&scope, new_run(&clock, thread_id)).await.unwrap();
    let claim = owner.claim(&ClaimRequest::new("owner", 1, LEASE)).await.unwrap().runs.remove(0);
    let beside = SqliteOptions::default().with_clock(clock.clone()).beside_owner();
    let beside = Sqlite::open(&path, beside).await.unwrap();
    let limits = DeploymentLimits::default().with_max_running_runs(Some(1));
    let spec = DeploymentSpec { hosts: Vec::new(), limits };
    beside.put_deployment(&scope.tenant, spec).await.unwrap();
    beside.close().await;
    owner.enqueue(&scope, new_run(&clock, ThreadId(Uuid::now_v7()))).await.unwrap();
    let held = owner.claim(&ClaimRequest::new("owner", 1, LEASE)).await.unwrap();
    assert_eq!(held.runs.len(), 0, "the owner applies the limit");
    let run = owner.run(&scope, thread_id, claim.run.run_id).await.unwrap().unwrap();
    assert_eq!((run.status, run.attempt), (RunStatus::Running, 1), "the owner still holds its run");
}

fn event(n: usize) -> NewEvent {
    NewEvent { name: "values".into(), data: Bytes::from(n.to_string()) }
}

#[tokio::test]
async fn a_restart_keeps_data_and_hands_running_runs_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("langopen.db");
    let (clock, scope, thread_id) = (clock(), Scope::default(), ThreadId(Uuid::now_v7()));
    let db = open(&path, clock.clone()).await;
    let (first, second) = (new_run(&clock, thread_id), new_run(&clock, thread_id));
    db.enqueue(&scope, first.clone()).await.unwrap();
    db.enqueue(&scope, second.clone()).await.unwrap();
    let old = db.claim(&ClaimRequest::new("old", 10, LEASE)).await.unwrap().runs.remove(0);
    let request = CancelRequest { action: CancelAction::Interrupt, reason: "stop".to_owned() };
    db.cancel(&scope, thread_id, first.run_id, request.clone()).await.unwrap();
    let before = db.thread(&scope, thread_id).await.unwrap();
    db.close().await;
    assert_eq!(db.thread(&scope, thread_id).await.unwrap_err().kind(), ErrorKind::Unavailable, "it is closed");
    drop(db);

    let db = open(&path, clock.clone()).await;
    assert_eq!(db.thread(&scope, thread_id).await.unwrap(), before);
    let run = db.run(&scope, thread_id, first.run_id).await.unwrap().unwrap();
    assert_eq!((run.status, run.attempt), (RunStatus::Pending, 1));
    let claims = db.claim(&ClaimRequest::new("new", 10, LEASE)).await.unwrap().runs;
    assert_eq!(claims.len(), 1, "the thread's other run still waits");
    assert_eq!((claims[0].run.run_id, claims[0].run.attempt, &claims[0].cancel), (first.run_id, 2, &Some(request)));
    let end = queue::Outcome {
        status: RunStatus::Success,
        thread_status: ThreadStatus::Idle,
        error: None,
        interrupts: json!({}).into(),
        state: None,
        values: None,
        rollback: false,
    };
    let lost = db.finish(old.lease(), end.clone()).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::LeaseLost, "the old process has lost its lease");
    assert_eq!(db.finish(claims[0].lease(), end).await.unwrap().promoted, Some(second.run_id));
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("langopen.db"), folder.path().join("copy.db"));
    let (clock, scope, thread_id) = (clock(), Scope::default(), ThreadId(Uuid::now_v7()));
    let db = open(&path, clock.clone()).await;
    let run = new_run(&clock, thread_id);
    db.enqueue(&scope, run.clone()).await.unwrap();
    // Copies what a killed process leaves: the file and its write-ahead log, never closed.
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", path.display());
        std::fs::copy(from, format!("{}{suffix}", copy.display())).unwrap();
    }
    let revived = open(&copy, clock).await;
    assert!(revived.run(&scope, thread_id, run.run_id).await.unwrap().is_some());
}

#[tokio::test]
async fn deliveries_that_a_killed_process_held_are_due_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("langopen.db"), folder.path().join("copy.db"));
    let (clock, scope) = (clock(), Scope::default());
    let db = open(&path, clock.clone()).await;
    let run = NewRun {
        webhook: Some("https://hooks.example/".to_owned()),
        temporary: true,
        ..new_run(&clock, ThreadId(Uuid::now_v7()))
    };
    db.enqueue(&scope, run.clone()).await.unwrap();
    db.cancel(
        &scope,
        run.thread_id,
        run.run_id,
        CancelRequest { action: CancelAction::Interrupt, reason: "stop".into() },
    )
    .await
    .unwrap();
    let held = db.claim_deliveries(10, LEASE).await.unwrap().deliveries.remove(0);
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", path.display());
        std::fs::copy(from, format!("{}{suffix}", copy.display())).unwrap();
    }
    let revived = open(&copy, clock).await;
    let again = revived.claim_deliveries(10, LEASE).await.unwrap().deliveries;
    assert_eq!(again, [outbox::Delivery { attempt: 2, ..held }]);
}

#[tokio::test]
async fn resumable_events_replay_after_a_restart_and_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("langopen.db");
    let (clock, open_run, ended) = (clock(), new_log(), new_log());
    let db = open(&path, clock.clone()).await;
    let log = db.event_log();
    log.append(open_run, 1, true, (0..150).map(event).collect()).await.unwrap();
    log.append(ended, 1, true, vec![event(0)]).await.unwrap();
    log.end(ended).await.unwrap();
    db.close().await;

    // Ids must not decrease, even if the clock goes back during the restart.
    clock.set(Timestamp::from_micros(clock.now().as_micros() - 10_000_000));
    let db = open(&path, clock.clone()).await;
    let log = db.event_log().with_retention(RETENTION);
    let beginning = ReadFrom::After(EventId::ZERO);
    let late: Vec<_> = log.read(ended, beginning).await.unwrap().collect().await;
    assert_eq!(late.len(), 1, "an ended log replays, and ends");
    let stream = log.read(open_run, beginning).await.unwrap();
    log.append(open_run, 1, true, vec![event(150)]).await.unwrap();
    log.append(ended, 1, true, vec![event(9)]).await.unwrap();
    log.end(open_run).await.unwrap();
    let all: Vec<_> = stream.map(|event| event.unwrap()).collect().await;
    let numbers: Vec<usize> =
        all.iter().map(|event| std::str::from_utf8(&event.data).unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..=150).collect::<Vec<_>>());
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
    let late: Vec<_> = log.read(ended, beginning).await.unwrap().collect().await;
    assert_eq!(late.len(), 1, "nothing is added to an ended log");
}

#[tokio::test]
async fn a_thread_replays_after_a_restart_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("langopen.db");
    let (clock, first) = (clock(), new_log());
    let second = LogKey { run_id: RunId(Uuid::now_v7()), ..first };
    let db = open(&path, clock.clone()).await;
    let log = db.event_log();
    log.append(first, 1, true, (0..100).map(event).collect()).await.unwrap();
    log.end(first).await.unwrap();
    log.append_to_thread(first.thread_id, vec![event(100)]).await.unwrap();
    log.append(second, 1, true, vec![event(101)]).await.unwrap();
    db.close().await;

    // Ids must not decrease, even if the clock goes back during the restart and a reader opens the log first.
    clock.set(Timestamp::from_micros(clock.now().as_micros() - 10_000_000));
    let db = open(&path, clock.clone()).await;
    let log = db.event_log();
    let stream = log.read_thread(first.thread_id, ReadFrom::After(EventId::ZERO)).await.unwrap();
    let third = LogKey { run_id: RunId(Uuid::now_v7()), ..first };
    log.append(third, 1, false, vec![event(102)]).await.unwrap();
    log.append(second, 1, true, vec![event(103)]).await.unwrap();
    log.end(second).await.unwrap();
    let all: Vec<_> = stream.take(106).map(|event| event.unwrap()).collect().await;
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
    let numbers: Vec<usize> =
        all.iter().filter_map(|event| std::str::from_utf8(&event.data).unwrap().parse().ok()).collect();
    assert_eq!(numbers, (0..=103).collect::<Vec<_>>());
    let late = log.read_thread(first.thread_id, ReadFrom::After(all[98].id)).await.unwrap();
    let late: Vec<_> = late.take(6).map(|event| event.unwrap()).collect().await;
    assert_eq!(late[..4], all[99..103], "events that are not stored are not replayed");
    assert_eq!(late[4..], all[104..]);
}

#[tokio::test]
async fn logs_that_a_dead_process_left_open_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("langopen.db");
    let (clock, scope) = (clock(), Scope::default());
    let db = open(&path, clock.clone()).await;
    let run = new_run(&clock, ThreadId(Uuid::now_v7()));
    db.enqueue(&scope, run.clone()).await.unwrap();
    let left = LogKey { thread_id: run.thread_id, run_id: run.run_id };
    for log in [left, new_log()] {
        db.event_log().append(log, 1, true, vec![event(0)]).await.unwrap();
    }
    db.close().await;
    let db = open(&path, clock.clone()).await;
    let log = db.event_log().with_retention(RETENTION);
    clock.advance(RETENTION);
    assert_eq!(log.sweep().await.unwrap(), 0, "the orphan's retention begins");
    clock.advance(RETENTION);
    assert_eq!(log.sweep().await.unwrap(), 1, "the orphan is removed, but not the pending run's log");
    let mut stream = log.read(left, ReadFrom::After(EventId::ZERO)).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "these are my notes, and no database at all; they are quite long, too\n".repeat(40)).unwrap();
    let error = Sqlite::open(&text, SqliteOptions::default()).await.unwrap_err();
    assert!(error.message().contains("is not an SQLite database"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let missing = folder.path().join("no").join("such").join("folder.db");
    let error = Sqlite::open(&missing, SqliteOptions::default()).await.unwrap_err();
    assert!(error.message().contains("folder must exist"), "{error}");

    let path = folder.path().join("newer.db");
    let db = open(&path, clock()).await;
    db.close().await;
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', 1, x'00', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    pool.close().await;
    let error = Sqlite::open(&path, SqliteOptions::default()).await.unwrap_err();
    assert!(error.message().contains("newer version"), "{error}");
}
