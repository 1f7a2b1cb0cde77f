//! The cron scheduler over the memory backend, on a clock that the tests drive.

use std::sync::Arc;
use std::time::Duration;

use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::clock::ManualClock;
use langopen_core::model::{
    Cron, CronCreator, CronPatch, DeploymentLimits, DeploymentSpec, IfExists, NewAssistant, NewCron, NewThread,
    OnCompletion, Run, RunQuery, ThreadQuery,
};
use langopen_core::storage::{Assistants, Crons, Deployments, Runs, Threads};
use langopen_core::{AssistantId, Backend, CronId, JsonMap, RunStatus, Scope, Tenant, ThreadId, Timestamp};
use langopen_graph::FunctionExecutor;
use langopen_worker::{Worker, WorkerSettings};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    memory: Memory,
    clock: Arc<ManualClock>,
    scope: Scope,
    stop: CancellationToken,
    workers: Vec<JoinHandle<()>>,
}

fn map(value: Value) -> JsonMap {
    value.as_object().cloned().unwrap()
}

impl Bench {
    /// A store without a worker, twenty seconds after a full minute.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-23T14:40:20Z").unwrap()));
        let scope = Scope::tenant(Tenant::new("an", "other", "tenant").unwrap());
        let (memory, stop) = (Memory::with_clock(clock.clone()), CancellationToken::new());
        Self { memory, clock, scope, stop, workers: Vec::new() }
    }

    fn work(mut self, workers: usize, crons: bool) -> Self {
        let events = Arc::new(MemoryEventLog::new().with_clock(self.clock.clone()));
        let executor = FunctionExecutor::new().graph("echo", |run| async move {
            tokio::time::sleep(Duration::from_millis(run.input()["ms"].as_u64().unwrap_or(0))).await;
            Ok(json!({"heard": run.input()}))
        });
        for _ in 0..workers {
            let backend = Backend::new(Arc::new(self.memory.clone()), events.clone()).with_clock(self.clock.clone());
            let executor = Arc::new(executor.clone().with_clock(self.clock.clone()));
            let grace = Duration::from_millis(50);
            let settings = WorkerSettings::default().with_crons(crons).with_grace(grace);
            self.workers.push(tokio::spawn(Worker::new(backend, executor, settings).run(self.stop.clone())));
        }
        self
    }

    async fn assistant(&self) -> AssistantId {
        let new = NewAssistant {
            assistant_id: AssistantId(Uuid::new_v4()),
            graph_id: "echo".to_owned(),
            config: map(json!({"configurable": {"model": "a", "depth": 1}})),
            context: map(json!({"model": "a", "depth": 1})),
            metadata: map(json!({"am": 1})),
            name: "mine".to_owned(),
            description: None,
        };
        self.memory.create_assistant(&self.scope, new, IfExists::Raise).await.unwrap().assistant_id
    }

    async fn thread(&self) -> ThreadId {
        let new = NewThread { thread_id: ThreadId(Uuid::now_v7()), metadata: map(json!({"tm": 1})), ttl: None };
        self.memory.create_thread(&self.scope, new, IfExists::Raise).await.unwrap().thread_id
    }

    async fn cron(&self, change: impl FnOnce(&mut NewCron)) -> Cron {
        let mut new = NewCron {
            cron_id: CronId(Uuid::now_v7()),
            assistant_id: self.assistant().await,
            thread_id: None,
            creator: CronCreator {
                identity: "ada".to_owned(),
                permissions: vec!["run".to_owned()],
                user: Some(map(json!({"identity": "ada"}))),
            },
            schedule: "* * * * *".to_owned(),
            timezone: None,
            end_time: None,
            payload: json!({"schedule": "* * * * *", "input": {"n": 1}, "config": {"configurable": {"model": "b"}}})
                .into(),
            metadata: map(json!({"cm": 1, "assistant_id": "spoof"})),
            on_run_completed: Some(OnCompletion::Keep),
            enabled: true,
        };
        change(&mut new);
        self.memory.create_cron(&self.scope, new).await.unwrap()
    }

    /// Advances the clock, and wakes the workers, which sleep by another clock.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.memory.cron_wakes().notify_waiters();
    }

    async fn threads(&self) -> Vec<ThreadId> {
        let query = ThreadQuery::default().with_limit(100);
        let page = self.memory.search_threads(&self.scope, &query).await.unwrap();
        page.items.iter().map(|thread| thread.thread_id).collect()
    }

    /// Every run of every thread.
    async fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        for thread_id in self.threads().await {
            let query = RunQuery::default().with_limit(100);
            runs.extend(self.memory.list_runs(&self.scope, thread_id, &query).await.unwrap().items);
        }
        runs
    }

    /// Waits until the cron's next due time is `at`.
    async fn moved_on(&self, cron: &Cron, at: &str) {
        let at = Timestamp::parse(at);
        let there = async || self.memory.cron(&self.scope, cron.cron_id).await.unwrap().unwrap().next_run_date == at;
        tokio::time::timeout(PATIENCE, async {
            while !there().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the cron moves on");
    }

    /// Waits until there are `count` runs and all of them have ended.
    async fn ended(&self, count: usize) -> Vec<Run> {
        let all = async {
            loop {
                let runs = self.runs().await;
                if runs.len() >= count && runs.iter().all(|run| run.status.is_terminal()) {
                    return runs;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let runs = tokio::time::timeout(PATIENCE, all).await.expect("the runs end");
        assert_eq!(runs.len(), count);
        runs
    }

    async fn stop(self) {
        self.stop.cancel();
        for worker in self.workers {
            worker.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_run_of_a_cron_is_its_creators() {
    let bench = Bench::new().work(1, true);
    let cron = bench.cron(|_| {}).await;
    bench.advance(MINUTE);
    let run = bench.ended(1).await.remove(0);
    assert_eq!(run.status, RunStatus::Success);
    assert_eq!((run.assistant_id, run.temporary), (cron.assistant_id, false));
    let assistant_id = cron.assistant_id.to_string();
    let metadata = json!({"am": 1, "cm": 1, "assistant_id": assistant_id});
    assert_eq!(Value::Object(run.metadata.clone()), metadata);
    let kwargs: Value = run.kwargs.decode().unwrap();
    assert_eq!(kwargs["input"], json!({"n": 1}));
    let configurable = json!({
        "model": "b", "depth": 1, "langgraph_auth_user": {"identity": "ada"}, "langgraph_auth_user_id": "ada",
        "langgraph_auth_permissions": ["run"], "langgraph_request_id": null,
        "__request_start_time_ms__": bench_millis(&bench), "__after_seconds__": 0, "run_id": run.run_id, "thread_id": run.thread_id,
        "graph_id": "echo", "assistant_id": assistant_id, "user_id": "ada", "cron_id": cron.cron_id,
    });
    assert_eq!(kwargs["config"]["configurable"], configurable);
    let thread = bench.memory.thread(&bench.scope, run.thread_id).await.unwrap().unwrap();
    assert_eq!(Value::Object(thread.metadata), json!({"cm": 1, "graph_id": "echo", "assistant_id": assistant_id}));
    bench.moved_on(&cron, "2026-11-23T14:42:00Z").await;
    bench.stop().await;
}

fn bench_millis(bench: &Bench) -> i64 {
    use langopen_core::Clock;
    bench.clock.now().as_millis()
}

#[tokio::test]
async fn each_firing_has_a_thread_of_its_own_which_goes_unless_kept() {
    let bench = Bench::new().work(1, true);
    let gone = bench.cron(|new| new.on_run_completed = Some(OnCompletion::Delete)).await;
    let kept = bench.cron(|_| {}).await;
    for (n, next) in ["2026-11-23T14:42:00Z", "2026-11-23T14:43:00Z"].into_iter().enumerate() {
        bench.advance(MINUTE);
        bench.moved_on(&gone, next).await;
        bench.moved_on(&kept, next).await;
        let runs = bench.ended(n + 1).await;
        assert!(runs.iter().all(|run| run.assistant_id == kept.assistant_id && !run.temporary), "{runs:#?}");
    }
    assert_eq!(bench.threads().await.len(), 2);
    bench.stop().await;
}

#[tokio::test]
async fn a_threads_cron_runs_on_its_thread() {
    let bench = Bench::new().work(1, true);
    let thread_id = bench.thread().await;
    let cron = bench.cron(|new| (new.thread_id, new.on_run_completed) = (Some(thread_id), None)).await;
    for (n, next) in ["2026-11-23T14:42:00Z", "2026-11-23T14:43:00Z"].into_iter().enumerate() {
        bench.advance(MINUTE);
        bench.moved_on(&cron, next).await;
        let runs = bench.ended(n + 1).await;
        assert!(runs.iter().all(|run| run.thread_id == thread_id && run.metadata["tm"] == 1), "{runs:#?}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_refused_run_passes_a_moment_over() {
    let bench = Bench::new().work(1, true);
    let thread_id = bench.thread().await;
    let on_thread = |new: &mut NewCron| (new.thread_id, new.on_run_completed) = (Some(thread_id), None);
    let slow = bench.cron(|new| {
        on_thread(new);
        new.payload = json!({"input": {"ms": 600_000}}).into();
    });
    let slow = slow.await;
    bench.advance(MINUTE);
    bench.moved_on(&slow, "2026-11-23T14:42:00Z").await;
    bench.memory.delete_cron(&bench.scope, slow.cron_id).await.unwrap();
    let polite = bench.cron(|new| {
        on_thread(new);
        new.payload = json!({"multitask_strategy": "reject"}).into();
    });
    let polite = polite.await;
    let damaged = bench.cron(|new| new.payload = json!({"input": 1, "config": 5}).into()).await;
    bench.advance(MINUTE);
    bench.moved_on(&polite, "2026-11-23T14:43:00Z").await;
    bench.moved_on(&damaged, "2026-11-23T14:43:00Z").await;
    assert_eq!(bench.runs().await.len(), 1, "only the slow run is there");
    // Another multitask strategy is not refused.
    let firm = bench.cron(|new| {
        on_thread(new);
        new.payload = json!({"multitask_strategy": "interrupt"}).into();
    });
    let firm = firm.await;
    bench.memory.delete_cron(&bench.scope, polite.cron_id).await.unwrap();
    bench.advance(MINUTE);
    bench.moved_on(&firm, "2026-11-23T14:44:00Z").await;
    let runs = bench.runs().await;
    assert_eq!(runs.len(), 2, "{runs:#?}");
    bench.stop().await;
}

#[tokio::test]
async fn a_full_deployment_passes_a_moment_over() {
    let bench = Bench::new().work(1, true);
    let limit = async |max_runs_in_flight| {
        let limits = DeploymentLimits::default().with_max_runs_in_flight(max_runs_in_flight);
        let spec = DeploymentSpec { hosts: Vec::new(), limits };
        bench.memory.put_deployment(&bench.scope.tenant, spec).await.unwrap();
    };
    limit(Some(0)).await;
    let cron = bench.cron(|_| {}).await;
    bench.advance(MINUTE);
    bench.moved_on(&cron, "2026-11-23T14:42:00Z").await;
    assert_eq!(bench.runs().await.len(), 0);
    limit(None).await;
    bench.advance(MINUTE);
    bench.moved_on(&cron, "2026-11-23T14:43:00Z").await;
    assert_eq!(bench.runs().await.len(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn missed_moments_are_fired_once() {
    let bench = Bench::new();
    let cron = bench.cron(|_| {}).await;
    bench.cron(|new| new.enabled = false).await;
    bench.cron(|new| new.end_time = Timestamp::parse("2026-11-23T15:00:00Z")).await;
    bench.advance(MINUTE * 60);
    let bench = bench.work(1, true);
    bench.moved_on(&cron, "2026-11-23T15:41:00Z").await;
    let runs = bench.ended(1).await;
    assert_eq!(runs[0].assistant_id, cron.assistant_id);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.runs().await.len(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_fire_each_moment_once() {
    let bench = Bench::new().work(4, true);
    let mut crons = Vec::new();
    for _ in 0..20 {
        crons.push(bench.cron(|_| {}).await);
    }
    for (n, next) in ["2026-11-23T14:42:00Z", "2026-11-23T14:43:00Z"].into_iter().enumerate() {
        bench.advance(MINUTE);
        for cron in &crons {
            bench.moved_on(cron, next).await;
        }
        bench.ended(20 * (n + 1)).await;
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_change_is_heard_of_at_once() {
    let bench = Bench::new().work(1, true);
    let cron = bench.cron(|new| new.schedule = "0 0 1 1 *".to_owned()).await;
    bench.clock.advance(MINUTE);
    let patch = CronPatch::default().with_schedule(Some("* * * * *".to_owned()));
    let patched = bench.memory.update_cron(&bench.scope, cron.cron_id, patch).await.unwrap();
    assert_eq!(patched.next_run_date, Timestamp::parse("2026-11-23T14:42:00Z"));
    bench.advance(MINUTE);
    bench.moved_on(&cron, "2026-11-23T14:43:00Z").await;
    bench.ended(1).await;
    bench.stop().await;
}

#[tokio::test]
async fn the_scheduler_can_be_off() {
    let bench = Bench::new().work(1, false);
    bench.cron(|_| {}).await;
    bench.advance(MINUTE);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.runs().await.len(), 0);
    bench.stop().await;
}
