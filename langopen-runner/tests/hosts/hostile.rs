//! Hostile graphs: against their host, the runner's memory, and the processes around them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::select;
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::executor::{AttemptLost, Blame, RunOutput, RunResultStatus};
use langopen_core::model::{MultitaskStrategy, NewRun, RunThread};
use langopen_core::storage::{Runs, Threads};
use langopen_core::{
    AssistantId, Backend, Clock, JsonMap, Queue, Result, RunId, RunStatus, Scope, SystemClock, Tenant, ThreadId,
};
use langopen_runner::RunnerSet;
use langopen_worker::{Worker, WorkerSettings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::remote::{TENANT, client, pool, runner, service};
use crate::support::{Bench, Outputs, interrupt, settings, to_the_end};

/// The loss of a run's attempt.
async fn loss(outputs: Outputs) -> AttemptLost {
    let error = to_the_end(outputs).await.unwrap_err();
    AttemptLost::of(&error).unwrap_or_else(|| panic!("{error}")).clone()
}

/// The log that a run's graph returned.
async fn log(outputs: Outputs) -> Vec<Value> {
    let (_, result) = to_the_end(outputs).await.unwrap();
    assert_eq!(result.status, RunResultStatus::Success, "{:?}", result.detail);
    let values: Value = result.state.unwrap().values.decode().unwrap();
    values["log"].as_array().unwrap().clone()
}

async fn a_killer_is_found(bench: &Bench) {
    let (slow, _cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 60})).await;
    let (deadly, _cancel) = bench.run("deadly", bench.thread().await, json!({"log": []})).await;
    let (slow, deadly) = tokio::join!(loss(slow), loss(deadly));
    assert_eq!((slow.blame, deadly.blame), (Blame::Suspect, Blame::Suspect), "nobody knows which of the two it was");
    assert!(deadly.cause.contains("SIGKILL"), "{}", deadly.cause);

    // Each executes in a host of its own, while another run executes on the ordinary host.
    let (beside, _cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 4})).await;
    let innocent = bench.suspect("counter", bench.thread().await, json!({"log": []})).await;
    let guilty = bench.suspect("deadly", bench.thread().await, json!({"log": []})).await;
    let (beside, innocent, guilty) = tokio::join!(log(beside), log(innocent), loss(guilty));
    assert_eq!((beside, innocent), (vec![json!("slept")], vec![json!("counted")]));
    assert_eq!(guilty.blame, Blame::Culprit);
    assert!(guilty.cause.contains("SIGKILL"), "{}", guilty.cause);
}

#[tokio::test]
async fn a_run_that_ends_its_host_is_found_alone() {
    let bench = Bench::start(1).await;
    a_killer_is_found(&bench).await;
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_run_that_ends_a_runners_host_is_found_alone() {
    let (runner, address) = runner(settings(1).await, service(TENANT)).await;
    let set = RunnerSet::connect(client(&format!("{TENANT}=tcp://{address}"))).unwrap();
    let bench = Bench::of(pool(&set, TENANT).await, Tenant::parse(TENANT).unwrap());
    a_killer_is_found(&bench).await;
    set.shut_down().await;
    runner.shut_down().await;
}

/// A platform in one process: a queue, a worker and hosts.
struct Platform {
    bench: Bench,
    memory: Memory,
    stop: CancellationToken,
    worker: tokio::task::JoinHandle<()>,
}

impl Platform {
    async fn start(hosts: usize, concurrency: usize) -> Self {
        let (bench, memory) = (Bench::start(hosts).await, Memory::new());
        let backend = Backend::new(Arc::new(memory.clone()), Arc::new(MemoryEventLog::new()));
        let executor = bench.pool.clone();
        let stop = CancellationToken::new();
        let settings = WorkerSettings::default().with_concurrency(concurrency);
        let worker = tokio::spawn(Worker::new(backend, executor, settings).run(stop.clone()));
        Self { bench, memory, stop, worker }
    }

    async fn create(&self, graph_id: &str, input: Value) -> (ThreadId, RunId) {
        let (thread_id, run_id) = (ThreadId(Uuid::now_v7()), RunId(Uuid::now_v7()));
        let configurable = json!({"thread_id": thread_id, "run_id": run_id, "graph_id": graph_id});
        let kwargs = json!({"input": input, "config": {"configurable": configurable}, "stream_mode": ["values"]});
        let new = NewRun {
            run_id,
            thread_id,
            assistant_id: AssistantId::system(graph_id),
            graph_id: graph_id.to_owned(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: kwargs.into(),
            multitask_strategy: MultitaskStrategy::Enqueue,
            resumable: false,
            webhook: None,
            temporary: false,
            origin: Default::default(),
            available_at: SystemClock.now(),
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
            firing: None,
        };
        self.memory.enqueue(&Scope::default(), new).await.unwrap();
        (thread_id, run_id)
    }

    async fn ended(&self, (thread_id, run_id): (ThreadId, RunId)) -> (RunStatus, u32) {
        loop {
            let run = self.memory.run(&Scope::default(), thread_id, run_id).await.unwrap().unwrap();
            if run.status.is_terminal() {
                return (run.status, run.attempt);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn neighbours_of_a_run_that_ends_its_host_succeed() {
    let platform = Platform::start(2, 10).await;
    let mut neighbours = Vec::new();
    for _ in 0..6 {
        neighbours.push(platform.create("slow", json!({"seconds": 2})).await);
    }
    let killer = platform.create("deadly", json!({"log": []})).await;
    for neighbour in neighbours {
        let (status, attempt) = platform.ended(neighbour).await;
        assert_eq!(status, RunStatus::Success);
        assert!(attempt <= 2, "once beside the killer, and once alone: {attempt}");
    }
    assert_eq!(platform.ended(killer).await, (RunStatus::Error, 2));
    let thread = platform.memory.thread(&Scope::default(), killer.0).await.unwrap().unwrap();
    let error: Value = thread.error.unwrap().decode().unwrap();
    assert_eq!(error["error"], "GraphHostDied");
    assert!(error["message"].as_str().unwrap().contains("SIGKILL"), "{error}");
    platform.stop.cancel();
    platform.worker.await.unwrap();
    platform.bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_run_that_overdraws_its_credit_is_cut_off_and_blamed() {
    let bench = Bench::start(1).await;
    let (slow, _cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 60})).await;
    let (flood, _cancel) = bench.run("overdraw", bench.thread().await, json!({"log": []})).await;
    // The flood is read only after it has ended.
    let neighbour = loss(slow).await;
    assert_eq!(neighbour.blame, Blame::Bystander);
    let flood = loss(flood).await;
    assert_eq!(flood.blame, Blame::Culprit);
    assert!(flood.cause.contains("credit"), "{}", flood.cause);
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_runner_cuts_off_its_own_host_that_overdraws() {
    let (runner, address) = runner(settings(2).await, service(TENANT)).await;
    let set = RunnerSet::connect(client(&format!("{TENANT}=tcp://{address}"))).unwrap();
    let bench = Bench::of(pool(&set, TENANT).await, Tenant::parse(TENANT).unwrap());
    // One run on each host. The flood joins either of them.
    let (first, stop_first) = bench.run("slow", bench.thread().await, json!({"seconds": 600})).await;
    let (second, stop_second) = bench.run("slow", bench.thread().await, json!({"seconds": 600})).await;
    let (flood, _cancel) = bench.run("overdraw", bench.thread().await, json!({"log": []})).await;
    // The flood is not read until its host has ended: events that the client reads return credit, so the host may send
    // more.
    let neighbours = select(Box::pin(to_the_end(first)), Box::pin(to_the_end(second))).await;
    let (neighbour, other) = neighbours.factor_first();
    assert_eq!(AttemptLost::of(&neighbour.unwrap_err()).unwrap().blame, Blame::Bystander);
    let flood = loss(flood).await;
    assert_eq!(flood.blame, Blame::Culprit);
    assert!(flood.cause.contains("credit"), "{}", flood.cause);
    stop_first.send_replace(interrupt());
    stop_second.send_replace(interrupt());
    let (_, result) = other.await.expect("the other host goes on, and so does the connection");
    assert_eq!(result.status, RunResultStatus::Cancelled);
    set.shut_down().await;
    runner.shut_down().await;
}

/// The events of three runs are not read: two runs write many short ones, and one a long one.
#[tokio::test]
async fn a_run_that_is_not_read_holds_up_no_other_run() {
    let (runner, address) = runner(settings(2).await, service(TENANT)).await;
    let set = RunnerSet::connect(client(&format!("{TENANT}=tcp://{address}"))).unwrap();
    let bench = Bench::of(pool(&set, TENANT).await, Tenant::parse(TENANT).unwrap());
    let mut unread = Vec::new();
    for (log, count) in [(json!([]), 20_000), (json!([]), 20_000), (json!(["long"]), 1)] {
        let (outputs, cancel) = bench.run("tokens", bench.thread().await, json!({"log": log})).await;
        unread.push((outputs, cancel, count));
    }
    // Long enough for their events to arrive.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let others = async {
        for _ in 0..10 {
            let (other, _cancel) = bench.run("counter", bench.thread().await, json!({"log": []})).await;
            assert_eq!(log(other).await, [json!("counted")]);
        }
    };
    tokio::time::timeout(Duration::from_secs(40), others).await.expect("the other runs end");
    for (outputs, _cancel, count) in unread {
        let (names, result) = to_the_end(outputs).await.unwrap();
        assert_eq!(result.status, RunResultStatus::Success);
        assert_eq!(names.iter().filter(|name| *name == "custom").count(), count, "no event is lost");
    }
    set.shut_down().await;
    runner.shut_down().await;
}

#[tokio::test]
async fn output_without_a_newline_and_many_calls_do_no_harm() {
    let bench = Bench::start(1).await;
    let (chatter, _cancel) = bench.run("chatter", bench.thread().await, json!({"log": []})).await;
    assert_eq!(log(chatter).await, [json!("printed")]);
    let (hoard, _cancel) = bench.run("hoard", bench.thread().await, json!({"log": []})).await;
    let said = log(hoard).await;
    assert_eq!(said[0], 500, "calls wait for each other, and none is lost");
    assert!(said[1].as_str().unwrap().contains("16777216"), "a value that is too long is refused: {}", said[1]);
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_host_that_does_not_end_a_cancelled_run_is_replaced() {
    let bench = Bench::start(1).await;
    let (first, _cancel) = bench.run("pid", bench.thread().await, json!({"log": []})).await;
    let first = log(first).await;
    let (blocking, cancel) = bench.run("blocking", bench.thread().await, json!({"seconds": 600})).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel.send_replace(interrupt());
    let (_, result) = to_the_end(blocking).await.unwrap();
    assert_eq!(result.status, RunResultStatus::Cancelled);
    // The old host may take the next run before it is replaced. That run is a bystander: another attempt succeeds soon.
    let begin = Instant::now();
    loop {
        let (next, _cancel) = bench.run("pid", bench.thread().await, json!({"log": []})).await;
        match to_the_end(next).await {
            Ok((_, result)) => {
                let values: Value = result.state.unwrap().values.decode().unwrap();
                assert_ne!(values["log"].as_array().unwrap(), &first, "another process");
                break;
            }
            Err(error) => assert_eq!(AttemptLost::of(&error).unwrap().blame, Blame::Bystander),
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
    bench.pool.shut_down().await;
}

/// The pids of a host and of the processes that its graph started: five in all.
async fn family(bench: &Bench, input: Value) -> (Vec<i32>, Outputs) {
    let (mut outputs, _cancel) = bench.run("family", bench.thread().await, input).await;
    loop {
        if let RunOutput::Event { name, data } = outputs.next().await.unwrap().unwrap()
            && &*name == "custom"
        {
            return (serde_json::from_slice(&data).unwrap(), outputs);
        }
    }
}

/// Waits until all of the processes have ended.
async fn gone(pids: &[i32]) {
    let alive = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(alive) {
        let left: Vec<_> = pids.iter().filter(|pid| alive(pid)).collect();
        assert!(Instant::now() < deadline, "still alive: {left:?} of {pids:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn no_process_of_a_graph_outlives_its_host_or_the_server() {
    let bench = Bench::start(1).await;
    let (pids, outputs) = family(&bench, json!({"log": ["die"], "seconds": 2})).await;
    assert_eq!(pids.len(), 5);
    assert!(to_the_end(outputs).await.is_err(), "the host died");
    gone(&pids).await;
    let (pids, outputs) = family(&bench, json!({"log": []})).await;
    to_the_end(outputs).await.unwrap();
    bench.pool.shut_down().await;
    gone(&pids).await;
}

#[tokio::test]
async fn a_blocked_host_does_not_outlive_a_server_that_is_killed() {
    // Make the environment first, so that the server below finds it.
    drop(settings(1).await);
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::a_server_with_a_blocked_host", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let pids = lines.map_while(std::result::Result::ok).find_map(|line| Some(line.split_once("pids ")?.1.to_owned()));
    let pids: Vec<i32> = serde_json::from_str(&pids.unwrap()).unwrap();
    // The host is in the middle of its sleep.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    kill_process(Pid::from_raw(server.id().cast_signed()).unwrap(), Signal::KILL).unwrap();
    server.wait().unwrap();
    gone(&pids[..1]).await;
    for child in &pids[1..] {
        let _ = kill_process(Pid::from_raw(*child).unwrap(), Signal::KILL);
    }
}

/// Not a test: the server process that the test above kills.
#[tokio::test]
#[ignore = "the test above starts it and kills it"]
async fn a_server_with_a_blocked_host() -> Result<()> {
    let bench = Bench::start(1).await;
    let (pids, _outputs) = family(&bench, json!({"log": ["block"], "seconds": 1})).await;
    println!("pids {}", serde_json::to_string(&pids).unwrap());
    std::future::pending().await
}
