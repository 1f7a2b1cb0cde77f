//! Runs in the form in which the API enqueues them.

use langopen_core::model::{MultitaskStrategy, NewRun, RunThread};
use langopen_core::{AssistantId, Clock, JsonMap, RawJson, RunId, SystemClock, ThreadId};
use serde_json::json;
use uuid::Uuid;

/// A run on this thread. Enqueuing it creates the thread if that does not exist.
pub(super) fn on(thread_id: ThreadId) -> NewRun {
    NewRun {
        run_id: RunId(Uuid::now_v7()),
        thread_id,
        assistant_id: AssistantId::system("noop"),
        graph_id: "noop".to_owned(),
        metadata_base: JsonMap::new(),
        metadata_own: JsonMap::new(),
        kwargs: RawJson::from(json!({"input": {}, "stream_mode": ["values"]})),
        multitask_strategy: MultitaskStrategy::Enqueue,
        resumable: false,
        webhook: None,
        temporary: false,
        origin: Default::default(),
        available_at: SystemClock.now(),
        thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
        firing: None,
    }
}

/// The id of a new thread.
pub(super) fn thread() -> ThreadId {
    ThreadId(Uuid::now_v7())
}
