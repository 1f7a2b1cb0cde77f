//! The conformance suite's cases of event logs.

use std::sync::Arc;

use langopen_core::EventLog;
use langopen_core::backend::memory::Memory;
use langopen_core::clock::ManualClock;
use langopen_core::conformance::{Backend, CASES};

use crate::support::{RETENTION, clock, prefix, redis_log};

/// Runs the cases of event logs, and tells all that failed rather than the first.
async fn run_all(new: impl AsyncFn(Arc<ManualClock>) -> Arc<dyn EventLog>) {
    let only = std::env::var("CONFORMANCE").unwrap_or_default();
    let mut failed = Vec::new();
    let of_logs = |name: &str| name.starts_with("event_log::") || name.starts_with("thread_log::");
    for case in CASES.iter().filter(|case| of_logs(case.name) && case.name.contains(&only)) {
        let clock = clock();
        let memory = Arc::new(Memory::with_clock(clock.clone()));
        let event_log = new(clock.clone()).await;
        let backend = Backend {
            storage: memory.clone(),
            queue: memory.clone(),
            outbox: memory,
            event_log,
            clock,
            retention: RETENTION,
        };
        let ran = std::panic::AssertUnwindSafe((case.run)(backend));
        if futures::FutureExt::catch_unwind(ran).await.is_err() {
            eprintln!("FAILED {}", case.name);
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "broken promises: {failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_its_promises() {
    run_all(async |clock| Arc::new(redis_log(&prefix(), clock).await) as Arc<dyn EventLog>).await;
}
