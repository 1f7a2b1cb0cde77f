//! Signals between processes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use langopen_backends::postgres::PostgresSignals;
use langopen_backends::redis::RedisSignals;
use langopen_core::model::{CancelAction, CancelRequest};
use langopen_core::queue::CancelSignal;
use langopen_core::signals::{Signal, Signals};
use langopen_core::{RunId, ThreadId};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use crate::server::Server;
use crate::support::{Database, prefix, redis_url};

fn cancel() -> Signal {
    let request = CancelRequest { action: CancelAction::Rollback, reason: "it's \"enough\"".to_owned() };
    Signal::Cancel(CancelSignal { run_id: RunId(Uuid::now_v7()), request })
}

async fn next(receiver: &mut Receiver<Signal>) -> Signal {
    match receiver.recv().await {
        Ok(signal) => signal,
        Err(RecvError::Lagged(_)) => Signal::Missed,
        Err(RecvError::Closed) => panic!("the signals are gone"),
    }
}

/// Waits until two parties hear each other.
async fn meet(sender: &dyn Signals, receiver: &mut Receiver<Signal>) {
    loop {
        sender.send(Signal::CronsChanged);
        let heard = async { while next(receiver).await != Signal::CronsChanged {} };
        if tokio::time::timeout(Duration::from_millis(200), heard).await.is_ok() {
            return;
        }
    }
}

async fn a_burst_becomes_a_few(one: Arc<dyn Signals>, other: Arc<dyn Signals>) {
    let (mut own, mut receiver) = (one.subscribe(), other.subscribe());
    meet(&*one, &mut receiver).await;
    meet(&*other, &mut own).await;
    let cancel = cancel();
    let threads: Vec<_> = (0..300).map(|_| ThreadId(Uuid::now_v7())).collect();
    for n in 0..1000 {
        one.send(Signal::RunsReady);
        one.send(Signal::DeliveriesReady);
        one.send(Signal::Events(threads[n % threads.len()]));
    }
    one.send(cancel.clone());
    let (mut runs, mut deliveries, mut cancels, mut of_threads) = (0, 0, 0, HashSet::new());
    while cancels == 0 || runs == 0 || deliveries == 0 || of_threads.len() < threads.len() {
        match next(&mut receiver).await {
            Signal::RunsReady => runs += 1,
            Signal::DeliveriesReady => deliveries += 1,
            // A burst may be cut in two, and a thread be in both parts.
            Signal::Events(thread_id) => {
                of_threads.insert(thread_id);
            }
            signal if signal == cancel => cancels += 1,
            // Something from before.
            _ => {}
        }
    }
    assert!(runs < 50 && deliveries < 50, "{runs} and {deliveries} signals of a thousand equal ones");
    assert_eq!(of_threads, threads.iter().copied().collect());
    other.send(Signal::RunsReady);
    loop {
        match next(&mut own).await {
            Signal::RunsReady => break,
            signal => assert!(matches!(signal, Signal::CronsChanged | Signal::Missed), "its own came back: {signal:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_carries_a_burst() {
    let (url, prefix) = (redis_url().await, prefix());
    let party = || Arc::new(RedisSignals::new(&url, &prefix).expect("a party"));
    a_burst_becomes_a_few(party(), party()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_carries_a_burst() {
    let database = Database::new().await;
    let party = || Arc::new(PostgresSignals::new(&database.url()).expect("a party"));
    a_burst_becomes_a_few(party(), party()).await;
    database.drop().await;
}

/// A server that goes away is heard again when it is back, and receivers learn that they may have missed something.
/// Meanwhile nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_heard_again() {
    let mut server = Server::start().await;
    let party = || RedisSignals::new(&server.url(), "again:").expect("a party");
    let (one, other) = (party(), party());
    let mut receiver = other.subscribe();
    meet(&one, &mut receiver).await;
    server.kill();
    (0..10_000).for_each(|_| one.send(Signal::Events(ThreadId(Uuid::now_v7()))));
    server.start_again().await;
    while next(&mut receiver).await != Signal::Missed {}
    meet(&one, &mut receiver).await;
}
