//! A thread in memory, and the runs of one graph on it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use langopen_backends::memory::Memory;
use langopen_core::IdSource;
use langopen_core::executor::{
    DrawRequest, ExecutionContext, HistoryRequest, RunJob, RunOutput, RunResult, RunResultStatus, SchemasRequest,
    StateAnswer, StateRequest, UpdateAnswer, UpdateRequest, Xray,
};
use langopen_core::model::{MultitaskStrategy, NewRun, RunThread};
use langopen_core::queue::{Claim, ClaimRequest, Outcome};
use langopen_core::{
    AssistantId, Executor, JsonMap, Queue, RawJson, Result, RunId, RunStatus, Scope, SystemIds, ThreadId, Timestamp,
};
use langopen_graph::{Graph, GraphExecutor};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) struct Thread {
    memory: Arc<Memory>,
    executor: GraphExecutor,
    id: ThreadId,
    graph_id: String,
}

/// The events and the result of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) events: Vec<(String, Value)>,
    pub(crate) result: RunResult,
}

impl Ran {
    pub(crate) fn values(&self) -> Value {
        self.result.state.as_ref().unwrap().values.decode().unwrap()
    }

    /// The data of all events with this name.
    pub(crate) fn of(&self, name: &str) -> Vec<Value> {
        self.events.iter().filter(|(held, _)| held == name).map(|(_, data)| data.clone()).collect()
    }

    /// The class and the message of the failure.
    pub(crate) fn error(&self) -> (String, String) {
        let error = self.result.error.clone().unwrap();
        (error.error, error.message)
    }
}

impl Thread {
    pub(crate) fn of(graph: Graph) -> Self {
        let graph_id = graph.name().to_owned();
        let executor = GraphExecutor::new().graph(graph);
        Self { memory: Arc::new(Memory::new()), executor, id: ThreadId(SystemIds.ordered()), graph_id }
    }

    fn context(&self) -> ExecutionContext {
        ExecutionContext::new(self.memory.clone(), self.memory.clone(), Scope::default())
    }

    async fn enqueue(&self, kwargs: Value) {
        let new = NewRun {
            run_id: RunId(SystemIds.ordered()),
            thread_id: self.id,
            assistant_id: AssistantId::system(&self.graph_id),
            graph_id: self.graph_id.clone(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: kwargs.into(),
            multitask_strategy: MultitaskStrategy::Enqueue,
            resumable: false,
            webhook: None,
            temporary: false,
            origin: Default::default(),
            available_at: Timestamp::from_micros(0),
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
            firing: None,
        };
        self.memory.enqueue(&Scope::default(), new).await.unwrap();
    }

    async fn claim(&self) -> Claim {
        self.memory.claim(&ClaimRequest::new("worker", 1, Duration::from_secs(60))).await.unwrap().runs.remove(0)
    }

    fn job(&self, claim: &Claim) -> RunJob {
        let job = RunJob::new(claim.run.clone(), self.context(), watch::channel(None).1);
        job.with_fresh_thread(claim.fresh_thread)
    }

    async fn execute(&self, claim: Claim) -> Ran {
        let mut outputs = self.executor.execute(self.job(&claim)).await.unwrap();
        let mut events = Vec::new();
        let result = loop {
            match outputs.next().await.unwrap().unwrap() {
                RunOutput::Event { name, data } => {
                    events.push((name.to_string(), serde_json::from_slice(&data).unwrap()))
                }
                RunOutput::Done(result) => break *result,
            }
        };
        let status = match result.status {
            RunResultStatus::Success => RunStatus::Success,
            RunResultStatus::Error => RunStatus::Error,
            RunResultStatus::Cancelled => RunStatus::Interrupted,
        };
        let outcome = Outcome {
            status,
            thread_status: result.thread_status,
            error: result.error.clone(),
            interrupts: result.interrupts.clone(),
            state: None,
            values: None,
            rollback: false,
        };
        self.memory.finish(claim.lease(), outcome).await.unwrap();
        Ran { events, result }
    }

    /// Executes a run with these kwargs: `input`, `command`, `stream_mode`, `config`, …
    pub(crate) async fn run(&self, kwargs: Value) -> Ran {
        self.enqueue(kwargs).await;
        self.execute(self.claim().await).await
    }

    /// Executes a run that is lost at its `count`th event, and then executes it again.
    pub(crate) async fn run_lost_at(&self, kwargs: Value, count: usize) -> Ran {
        self.enqueue(kwargs).await;
        let claim = self.claim().await;
        let mut outputs = self.executor.execute(self.job(&claim)).await.unwrap();
        for _ in 0..count {
            outputs.next().await.unwrap().unwrap();
        }
        drop(outputs);
        self.memory.release(claim.lease(), Duration::ZERO).await.unwrap();
        self.execute(self.claim().await).await
    }

    fn config(&self, at: Value) -> RawJson {
        let mut configurable = json!({"thread_id": self.id});
        configurable.as_object_mut().unwrap().extend(at.as_object().unwrap().clone());
        json!({"configurable": configurable}).into()
    }

    pub(crate) async fn state(&self) -> Value {
        self.answer().await.state.decode().unwrap()
    }

    /// The state with its summary.
    pub(crate) async fn answer(&self) -> StateAnswer {
        let request = StateRequest::new(&*self.graph_id, self.config(json!({}))).with_subgraphs(true);
        self.executor.get_state(self.context(), request).await.unwrap()
    }

    /// The states of a namespace, newest first.
    pub(crate) async fn history(&self, namespace: &str) -> Vec<Value> {
        let request = HistoryRequest::new(&*self.graph_id, self.config(json!({"checkpoint_ns": namespace})), 100);
        let states = self.executor.state_history(self.context(), request).await.unwrap();
        states.iter().map(|state| state.decode().unwrap()).collect()
    }

    /// Updates the state of the given configurable; `{}` means the newest state.
    pub(crate) async fn update(&self, at: Value, values: Value, as_node: Option<&str>) -> Result<UpdateAnswer> {
        let request = UpdateRequest::new(&*self.graph_id, self.config(at), values.into());
        self.executor.update_state(self.context(), request.with_as_node(as_node.map(str::to_owned))).await
    }

    pub(crate) async fn draw(&self, xray: Xray) -> Value {
        let request = DrawRequest::new(&*self.graph_id, self.config(json!({}))).with_xray(xray);
        serde_json::to_value(self.executor.draw(self.context(), request).await.unwrap()).unwrap()
    }

    pub(crate) async fn schemas(&self) -> Value {
        let request = SchemasRequest::new(&*self.graph_id, self.config(json!({})));
        serde_json::to_value(self.executor.schemas(self.context(), request).await.unwrap()).unwrap()
    }
}
