//! Measures full cycles of runs, enqueue, claim and finish, on SQLite or on a Postgres database that is empty or may be
//! filled.
//!
//! `cargo run --release -p langopen-backends --features sqlite,postgres --example queue_cycles -- [runs] [producers]
//! [lasting] [postgres://...]`
//!
//! The runs are temporary, unless `lasting` says that each stays with its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use langopen_backends::postgres::{Postgres, PostgresOptions};
use langopen_backends::sqlite::{Sqlite, SqliteOptions};
use langopen_core::model::{MultitaskStrategy, NewRun, RunThread, ThreadStatus};
use langopen_core::queue::{ClaimRequest, Outcome};
use langopen_core::{AssistantId, Clock, JsonMap, Queue, RawJson, RunId, RunStatus, Scope, SystemClock, ThreadId};
use uuid::Uuid;

fn new_run(temporary: bool) -> NewRun {
    NewRun {
        run_id: RunId(Uuid::now_v7()),
        thread_id: ThreadId(Uuid::now_v7()),
        assistant_id: AssistantId::system("agent"),
        graph_id: "agent".to_owned(),
        metadata_base: JsonMap::new(),
        metadata_own: JsonMap::new(),
        kwargs: RawJson::from(serde_json::json!({"input": {"messages": ["hello"]}, "stream_mode": ["values"]})),
        multitask_strategy: MultitaskStrategy::Enqueue,
        resumable: false,
        webhook: None,
        temporary,
        origin: Default::default(),
        available_at: SystemClock.now(),
        thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
        firing: None,
    }
}

fn outcome() -> Outcome {
    Outcome {
        status: RunStatus::Success,
        thread_status: ThreadStatus::Idle,
        error: None,
        interrupts: RawJson::default(),
        state: None,
        values: None,
        rollback: false,
    }
}

async fn produce(db: Arc<dyn Queue>, runs: usize, temporary: bool) {
    for _ in 0..runs {
        db.enqueue(&Scope::default(), new_run(temporary)).await.expect("enqueue");
    }
}

async fn work(db: Arc<dyn Queue>, total: usize, done: Arc<AtomicUsize>) {
    let wakes = db.wakes();
    while done.load(Ordering::Relaxed) < total {
        let claims = db.claim(&ClaimRequest::new("bench", 10, Duration::from_secs(30))).await.expect("claim");
        if claims.runs.is_empty() {
            // A wake is only a hint: look again soon, whatever happens.
            let _ = tokio::time::timeout(Duration::from_millis(20), wakes.notified()).await;
            continue;
        }
        let finishes = claims.runs.iter().map(|claim| db.finish(claim.lease(), outcome()));
        let finished = futures::future::try_join_all(finishes).await.expect("finish");
        done.fetch_add(finished.len(), Ordering::Relaxed);
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = arguments.iter().filter_map(|number| number.parse::<usize>().ok());
    let (total, producers) = (numbers.next().unwrap_or(20_000), numbers.next().unwrap_or(32));
    let temporary = !arguments.iter().any(|argument| argument == "lasting");
    let folder = tempfile::tempdir().expect("temporary folder");
    let db: Arc<dyn Queue> = match arguments.iter().find(|argument| argument.starts_with("postgres://")) {
        Some(url) => Arc::new(Postgres::open(url, PostgresOptions::default()).await.expect("open")),
        None => Arc::new(Sqlite::open(&folder.path().join("cycles.db"), SqliteOptions::default()).await.expect("open")),
    };
    let (began, done) = (Instant::now(), Arc::<AtomicUsize>::default());
    let each = total / producers;
    let mut tasks: Vec<_> = (0..producers).map(|_| tokio::spawn(produce(db.clone(), each, temporary))).collect();
    tasks.extend((0..8).map(|_| tokio::spawn(work(db.clone(), each * producers, done.clone()))));
    for task in tasks {
        task.await.expect("task");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{} cycles in {seconds:.2} s: {:.0} cycles/s", each * producers, (each * producers) as f64 / seconds);
}
