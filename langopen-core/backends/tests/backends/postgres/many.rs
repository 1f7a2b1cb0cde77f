//! Several processes on one database. Each backend here has its own connections, as a process would.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresOptions};
use langopen_backends::signals::LocalSignals;
use langopen_core::clock::ManualClock;
use langopen_core::event_log::{EventLog, LogKey, NewEvent};
use langopen_core::model::*;
use langopen_core::queue::{Cancelled, Claim, ClaimRequest, Heartbeat, InFlight, Outcome};
use langopen_core::storage::*;
use langopen_core::*;
use parking_lot::Mutex;
use uuid::Uuid;

use super::super::{LEASE, clock, new_run};
use super::Database;

pub(super) fn success() -> Outcome {
    Outcome {
        status: RunStatus::Success,
        thread_status: ThreadStatus::Idle,
        error: None,
        interrupts: RawJson::from(serde_json::json!({})),
        state: None,
        values: None,
        rollback: false,
    }
}

pub(super) fn interrupt() -> CancelRequest {
    CancelRequest { action: CancelAction::Interrupt, reason: "stop".to_owned() }
}

fn thread_id() -> ThreadId {
    ThreadId(Uuid::now_v7())
}

fn options(clock: &Arc<ManualClock>) -> PostgresOptions {
    PostgresOptions::default().with_clock(clock.clone()).with_connections(6)
}

async fn two(database: &Database, clock: &Arc<ManualClock>) -> [Postgres; 2] {
    [database.open(options(clock)).await, database.open(options(clock)).await]
}

async fn claim(db: &Postgres, max: usize) -> Vec<Claim> {
    db.claim(&ClaimRequest::new("worker", max, LEASE)).await.expect("claim").runs
}

async fn end(database: Database, processes: impl IntoIterator<Item = Postgres>) {
    for db in processes {
        db.close().await;
    }
    database.assert_in_order().await;
    database.remove().await;
}

/// Claims and ends runs until all have ended, and records each run that it starts.
async fn work(db: Postgres, total: usize, began: Arc<Mutex<Vec<(ThreadId, RunId)>>>, done: Arc<Mutex<usize>>) {
    while *done.lock() < total {
        for claim in claim(&db, 3).await {
            began.lock().push((claim.run.thread_id, claim.run.run_id));
            db.finish(claim.lease(), success()).await.expect("finish");
            *done.lock() += 1;
        }
    }
}

/// If many processes enqueue, claim and finish at once, each run starts once. The runs of a thread run one after the
/// other, in the order in which the queue accepted them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_begin_once_and_in_order_under_load() {
    const THREADS: usize = 6;
    const EACH: usize = 25;
    let (database, clock) = (Database::new().await, clock());
    let [a, b] = two(&database, &clock).await;
    let (began, done) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<usize>>::default());
    let mut tasks = Vec::new();
    for db in [&a, &b, &a, &b] {
        tasks.push(tokio::spawn(work(db.clone(), THREADS * EACH, began.clone(), done.clone())));
    }
    let creating = (0..THREADS).map(|n| {
        // The requests for a thread alternate between two processes.
        let (a, b, clock, id) = (a.clone(), b.clone(), clock.clone(), thread_id());
        tokio::spawn(async move {
            let mut accepted = Vec::new();
            for each in 0..EACH {
                let db = if (each + n) % 2 == 0 { &a } else { &b };
                let run = db.enqueue(&Scope::default(), new_run(&clock, id)).await.expect("enqueue").run;
                accepted.push(run.run_id);
            }
            (id, accepted)
        })
    });
    let accepted: HashMap<_, _> = futures::future::try_join_all(creating).await.expect("create").into_iter().collect();
    futures::future::try_join_all(tasks).await.expect("work");
    let began = began.lock().clone();
    assert_eq!(began.iter().collect::<HashSet<_>>().len(), began.len(), "no run begins twice");
    for (id, accepted) in accepted {
        let of_thread: Vec<_> =
            began.iter().filter(|(thread_id, _)| *thread_id == id).map(|(_, run_id)| *run_id).collect();
        assert_eq!(of_thread, accepted, "in the order in which they were accepted");
    }
    end(database, [a, b]).await;
}

/// A run that is created while the previous run ends always becomes ready, whichever commits first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_is_left_between_an_end_and_a_beginning() {
    let (database, clock) = (Database::new().await, clock());
    let [a, b] = two(&database, &clock).await;
    let (scope, id) = (Scope::default(), thread_id());
    let first = a.enqueue(&scope, new_run(&clock, id)).await.expect("enqueue").run.run_id;
    let mut expected = first;
    for _ in 0..200 {
        let running = claim(&a, 10).await;
        assert_eq!(running.iter().map(|claim| claim.run.run_id).collect::<Vec<_>>(), [expected]);
        let next = new_run(&clock, id);
        expected = next.run_id;
        let (ended, created) = tokio::join!(a.finish(running[0].lease(), success()), b.enqueue(&scope, next));
        ended.expect("finish");
        created.expect("enqueue");
    }
    end(database, [a, b]).await;
}

/// If the clocks of the processes differ, runs still start in the order in which the queue accepted them, without
/// delay.
#[tokio::test]
async fn clocks_that_differ_change_no_order() {
    let database = Database::new().await;
    let (ahead, behind) = (clock(), clock());
    ahead.advance(Duration::from_millis(900));
    let [a, b] = [database.open(options(&ahead)).await, database.open(options(&behind)).await];
    let (scope, id) = (Scope::default(), thread_id());
    let mut accepted = Vec::new();
    for n in 0..10 {
        let (db, clock) = if n % 2 == 0 { (&a, &ahead) } else { (&b, &behind) };
        accepted.push(db.enqueue(&scope, new_run(clock, id)).await.expect("enqueue").run.run_id);
        ahead.advance(Duration::from_millis(1));
        behind.advance(Duration::from_millis(1));
    }
    let mut began = Vec::new();
    for n in 0..10 {
        let db = if n % 3 == 0 { &a } else { &b };
        let running = claim(db, 10).await;
        began.extend(running.iter().map(|claim| claim.run.run_id));
        b.finish(running[0].lease(), success()).await.expect("finish");
    }
    assert_eq!(began, accepted);
    end(database, [a, b]).await;
}

/// A process that stalled past its lease cannot change the run that another process took over.
#[tokio::test]
async fn a_lost_lease_allows_no_change() {
    let (database, clock) = (Database::new().await, clock());
    let [stopped, other] = two(&database, &clock).await;
    let id = thread_id();
    let run = new_run(&clock, id);
    stopped.enqueue(&Scope::default(), run.clone()).await.expect("enqueue");
    let old = claim(&stopped, 1).await.remove(0);
    assert!(claim(&other, 1).await.is_empty(), "another worker holds it");
    clock.advance(LEASE);
    let new = claim(&other, 1).await.remove(0);
    assert_eq!((new.run.run_id, new.run.attempt), (run.run_id, 2));
    let lost = |result: Result<()>| assert_eq!(result.unwrap_err().kind(), ErrorKind::LeaseLost);
    lost(stopped.finish(old.lease(), success()).await.map(drop));
    lost(stopped.finish(old.lease(), Outcome { rollback: true, ..success() }).await.map(drop));
    lost(stopped.release(old.lease(), Duration::ZERO).await);
    assert_eq!(stopped.heartbeat(&[old.lease()], LEASE).await.unwrap(), [Heartbeat::Lost]);
    let held = other.run(&Scope::default(), id, run.run_id).await.unwrap().unwrap();
    assert_eq!((held.status, held.attempt), (RunStatus::Running, 2), "nothing was changed");
    other.finish(new.lease(), success()).await.expect("finish");
    end(database, [stopped, other]).await;
}

/// Cancelling many runs while they end, start and are created: every call succeeds, and every run ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancels_and_ends_do_not_block_each_other() {
    let (database, clock) = (Database::new().await, clock());
    let [a, b] = two(&database, &clock).await;
    let threads: Vec<_> = (0..5).map(|_| thread_id()).collect();
    let creating = threads.iter().map(|id| {
        let (db, clock, id) = (a.clone(), clock.clone(), *id);
        tokio::spawn(async move {
            for n in 0..20 {
                let multitask_strategy = match n % 3 {
                    0 => MultitaskStrategy::Interrupt,
                    1 => MultitaskStrategy::Rollback,
                    _ => MultitaskStrategy::Enqueue,
                };
                let new = NewRun { multitask_strategy, ..new_run(&clock, id) };
                db.enqueue(&Scope::default(), new).await.expect("enqueue");
            }
        })
    });
    let creating: Vec<_> = creating.collect();
    let ending = tokio::spawn({
        let db = b.clone();
        async move {
            for _ in 0..60 {
                let claims = claim(&db, 2).await;
                let leases: Vec<_> = claims.iter().map(Claim::lease).collect();
                let (ends, beats) = tokio::join!(
                    futures::future::join_all(leases.iter().map(|lease| db.finish(*lease, success()))),
                    db.heartbeat(&leases, LEASE),
                );
                for end in ends {
                    end.expect("finish");
                }
                beats.expect("heartbeat");
            }
        }
    });
    let cancelling = tokio::spawn({
        let db = a.clone();
        async move {
            for _ in 0..30 {
                db.cancel_in_flight(&Scope::default(), InFlight::All, interrupt()).await.expect("cancel");
            }
        }
    });
    futures::future::try_join_all(creating).await.expect("create");
    ending.await.expect("end");
    cancelling.await.expect("cancel");
    loop {
        let left = claim(&b, 100).await;
        if left.is_empty() {
            break;
        }
        for claim in left {
            b.finish(claim.lease(), success()).await.expect("finish");
        }
    }
    let stats = a.stats().await.expect("stats");
    assert_eq!((stats.pending, stats.running), (0, 0));
    end(database, [a, b]).await;
}

/// A due cron fires once, even if several processes see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cron_fires_once() {
    let (database, clock) = (Database::new().await, clock());
    let [a, b] = two(&database, &clock).await;
    let scope = Scope::default();
    let assistant = NewAssistant {
        assistant_id: AssistantId::system("agent"),
        graph_id: "agent".to_owned(),
        config: JsonMap::new(),
        context: JsonMap::new(),
        metadata: JsonMap::new(),
        name: "agent".to_owned(),
        description: None,
    };
    a.create_assistant(&scope, assistant, IfExists::Raise).await.expect("an assistant");
    let cron = NewCron {
        cron_id: CronId(Uuid::now_v7()),
        assistant_id: AssistantId::system("agent"),
        thread_id: None,
        creator: CronCreator::default(),
        schedule: "* * * * *".to_owned(),
        timezone: None,
        end_time: None,
        payload: RawJson::from(serde_json::json!({})),
        metadata: JsonMap::new(),
        on_run_completed: None,
        enabled: true,
    };
    a.create_cron(&scope, cron).await.expect("a cron");
    for _ in 0..5 {
        clock.advance(Duration::from_secs(60));
        let due = a.due_crons(10).await.expect("due").crons.remove(0).cron;
        let (due, next) =
            (due.next_run_date.expect("a moment"), due.next_after(clock::Clock::now(&*clock)).expect("a schedule"));
        let firing = CronFiring { cron_id: a.due_crons(1).await.unwrap().crons[0].cron.cron_id, due, next };
        let firings = (0..6).map(|n| {
            let db = if n % 2 == 0 { a.clone() } else { b.clone() };
            let new = NewRun { firing: Some(firing), ..new_run(&clock, thread_id()) };
            tokio::spawn(async move { db.enqueue(&Scope::default(), new).await.map_err(|error| error.kind()) })
        });
        let mut fired = 0;
        for result in futures::future::join_all(firings).await {
            match result.expect("a firing task") {
                Ok(_) => fired += 1,
                Err(kind) => assert_eq!(kind, ErrorKind::Conflict),
            }
        }
        assert_eq!(fired, 1);
    }
    assert_eq!(claim(&b, 100).await.len(), 5);
    end(database, [a, b]).await;
}

/// Checkpoints that are stored during the rollback of another run keep their blobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_spares_what_is_kept_meanwhile() {
    let (database, clock) = (Database::new().await, clock());
    let [a, b] = two(&database, &clock).await;
    let (scope, id) = (Scope::default(), thread_id());
    for n in 0..40 {
        a.enqueue(&scope, new_run(&clock, id)).await.expect("enqueue");
        let running = claim(&a, 1).await.remove(0);
        let version = format!("{n}");
        // Both checkpoints refer to the same version of the channel.
        let kept = |checkpoint_id: String, run_id| NewCheckpoint {
            thread_id: id,
            checkpoint_ns: String::new(),
            checkpoint_id,
            parent_checkpoint_id: None,
            run_id,
            attempt: None,
            kind: "msgpack".to_owned(),
            bytes: bytes::Bytes::from_static(b"checkpoint"),
            metadata: RawJson::from(serde_json::json!({})),
            channel_versions: vec![("channel".to_owned(), version.clone())],
            blobs: vec![Blob {
                channel: "channel".to_owned(),
                version: version.clone(),
                kind: "msgpack".to_owned(),
                bytes: bytes::Bytes::from_static(b"value"),
            }],
        };
        a.put_checkpoint(&scope, kept(format!("{n}-of-run"), Some(running.run.run_id))).await.expect("keep");
        let other = format!("{n}-of-nobody");
        let (ended, put) = tokio::join!(
            a.finish(running.lease(), Outcome { rollback: true, status: RunStatus::Interrupted, ..success() }),
            b.put_checkpoint(&scope, kept(other.clone(), None)),
        );
        ended.expect("roll back");
        put.expect("keep");
        let key = CheckpointKey { thread_id: id, checkpoint_ns: String::new(), checkpoint_id: Some(other) };
        let there = b.checkpoint(&scope, &key).await.expect("read").expect("it is there");
        assert_eq!(there.channel_values.len(), 1, "with its value");
    }
    end(database, [a, b]).await;
}

/// An attempt can write no events after a worker has claimed a later attempt, even if the later one has written
/// nothing.
#[tokio::test]
async fn an_attempt_is_over_when_a_later_one_was_claimed() {
    let (database, clock) = (Database::new().await, clock());
    let db = database.open(options(&clock)).await;
    let log = PostgresEventLog::open(&db).await.expect("open");
    let run = new_run(&clock, thread_id());
    let key = LogKey { thread_id: run.thread_id, run_id: run.run_id };
    db.enqueue(&Scope::default(), run).await.expect("enqueue");
    assert_eq!(claim(&db, 1).await[0].run.attempt, 1);
    let event = || vec![NewEvent { name: "values".into(), data: "{}".into() }];
    log.append(key, 1, true, event()).await.expect("append");
    clock.advance(LEASE);
    assert_eq!(claim(&db, 1).await[0].run.attempt, 2);
    let late = log.append(key, 1, true, event()).await.expect_err("late");
    assert_eq!(late.kind(), ErrorKind::LeaseLost);
    log.append(key, 2, true, event()).await.expect("append");
    drop(log);
    end(database, [db]).await;
}

/// A change by one process wakes the others.
#[tokio::test]
async fn processes_wake_each_other() {
    let (database, clock) = (Database::new().await, clock());
    let signals = LocalSignals::new();
    let a = database.open(options(&clock).with_signals(Arc::new(signals.party()))).await;
    let b = database.open(options(&clock).with_signals(Arc::new(signals.party()))).await;
    let (wakes, mut cancels) = (b.wakes(), b.cancels());
    let run = new_run(&clock, thread_id());
    a.enqueue(&Scope::default(), run.clone()).await.expect("enqueue");
    wakes.notified().await;
    let running = claim(&b, 1).await.remove(0);
    let done = a.cancel(&Scope::default(), run.thread_id, run.run_id, interrupt()).await.expect("cancel");
    assert_eq!(done, Cancelled::Requested);
    assert_eq!(cancels.recv().await.expect("a cancel").run_id, running.run.run_id);
    b.finish(running.lease(), success()).await.expect("finish");
    end(database, [a, b]).await;
}
