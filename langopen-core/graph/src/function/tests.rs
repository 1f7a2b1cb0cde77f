use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use langopen_backends::memory::Memory;
use langopen_core::clock::Timestamp;
use langopen_core::executor::RunResultStatus;
use langopen_core::ids::{AssistantId, RunId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{MultitaskStrategy, NewRun, RunThread};
use langopen_core::queue::{ClaimRequest, Queue};
use langopen_core::tenant::Scope;
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::*;
use crate::EVENTS_AHEAD;

async fn job(input: Value) -> RunJob {
    let (memory, scope) = (Memory::new(), Scope::default());
    let new = NewRun {
        run_id: RunId(Uuid::now_v7()),
        thread_id: ThreadId(Uuid::now_v7()),
        assistant_id: AssistantId::system("count"),
        graph_id: "count".to_owned(),
        metadata_base: JsonMap::new(),
        metadata_own: JsonMap::new(),
        kwargs: json!({"input": input, "stream_mode": ["custom", "values"]}).into(),
        multitask_strategy: MultitaskStrategy::Enqueue,
        resumable: false,
        webhook: None,
        temporary: false,
        origin: Default::default(),
        available_at: Timestamp::from_micros(0),
        thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
        firing: None,
    };
    memory.enqueue(&scope, new).await.unwrap();
    let request = ClaimRequest::new("worker", 1, Duration::from_secs(60));
    let run = memory.claim(&request).await.unwrap().runs.remove(0).run;
    let context = {
        let memory = Arc::new(memory);
        ExecutionContext::new(memory.clone(), memory, scope)
    };
    RunJob::new(run, context, watch::channel(None).1).with_fresh_thread(true)
}

/// A graph that streams the numbers below its input and counts how many were sent.
fn counting(sent: Arc<AtomicUsize>) -> FunctionExecutor {
    FunctionExecutor::new().graph("count", move |run| {
        let sent = sent.clone();
        async move {
            for n in 0..run.input()["to"].as_u64().unwrap_or(0) {
                run.custom(&n).await?;
                sent.fetch_add(1, Ordering::SeqCst);
            }
            Ok(json!({"counted": true}))
        }
    })
}

#[tokio::test]
async fn every_event_comes_in_order_and_before_the_end() {
    // The function ends with a full, a busy and an almost empty buffer.
    for to in [EVENTS_AHEAD - 2, EVENTS_AHEAD * 5, 1] {
        let executor = counting(Arc::default());
        let outputs: Vec<_> = executor.execute(job(json!({"to": to})).await).await.unwrap().collect().await;
        let mut numbers = Vec::new();
        for output in &outputs[..outputs.len() - 1] {
            match output {
                Ok(RunOutput::Event { name, data }) if &**name == "custom" => {
                    numbers.push(serde_json::from_slice::<usize>(data).unwrap());
                }
                Ok(RunOutput::Event { name, .. }) => assert_eq!(&**name, "values"),
                other => panic!("not an event: {other:?}"),
            }
        }
        assert_eq!(numbers, (0..to).collect::<Vec<_>>());
        let Some(Ok(RunOutput::Done(result))) = outputs.last() else { panic!("no end: {:?}", outputs.last()) };
        assert_eq!(result.status, RunResultStatus::Success);
    }
}

#[tokio::test]
async fn a_function_waits_for_who_reads_its_events() {
    let sent = Arc::<AtomicUsize>::default();
    let mut outputs = counting(sent.clone()).execute(job(json!({"to": 1000})).await).await.unwrap();
    outputs.next().await.unwrap().unwrap();
    tokio::task::yield_now().await;
    assert!(sent.load(Ordering::SeqCst) <= EVENTS_AHEAD, "{sent:?} events were buffered");
    drop(outputs);
}
