//! Calls that ask a graph about a thread's state, and the use of their answers.

use langopen_core::auth::Identity;
use langopen_core::event_log::NewEvent;
use langopen_core::executor::{StateAnswer, StateRequest, StateSummary};
use langopen_core::model::{Thread, ThreadState, ThreadStatus};
use langopen_core::{ErrorKind, JsonMap, RawJson, Scope};
use serde_json::{Value, json};

use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, OnKind};
use crate::agent::show_user;
use crate::agent::thread::graph_id;
use crate::agent::wire::{CheckpointConfig, Entries, ThreadStateBody};

/// The config of a call: the thread's config, the checkpoint and the caller's identity.
pub(super) fn config(thread: &Thread, checkpoint: &CheckpointConfig, identity: &Identity) -> ApiResult<RawJson> {
    let mut config = thread.config.clone();
    let mut configurable = match config.get_mut("configurable").map(Value::take) {
        Some(Value::Object(configurable)) => configurable,
        _ => JsonMap::new(),
    };
    configurable.insert("thread_id".to_owned(), thread.thread_id.to_string().into());
    configurable.insert("checkpoint_ns".to_owned(), checkpoint.checkpoint_ns.clone().unwrap_or_default().into());
    if let Some(id) = &checkpoint.checkpoint_id {
        configurable.insert("checkpoint_id".to_owned(), id.as_str().into());
    }
    if let Some(map) = &checkpoint.checkpoint_map {
        configurable.insert("checkpoint_map".to_owned(), Value::Object(map.clone()));
    }
    show_user(identity, &mut configurable);
    config.insert("configurable".to_owned(), Value::Object(configurable));
    Ok(RawJson::of(&config)?)
}

/// The config of a checkpoint alone, e.g. for `before` of a history.
pub(super) fn bare_config(thread: &Thread, checkpoint: &CheckpointConfig) -> RawJson {
    json!({"configurable": {
        "thread_id": thread.thread_id,
        "checkpoint_ns": checkpoint.checkpoint_ns.as_deref().unwrap_or_default(),
        "checkpoint_id": checkpoint.checkpoint_id,
    }})
    .into()
}

/// Asks the graph for the state at a checkpoint, in the form for clients.
pub(crate) async fn state_at(
    app: &App,
    (scope, identity): (&Scope, &Identity),
    thread: &Thread,
    checkpoint: &CheckpointConfig,
    subgraphs: bool,
) -> ApiResult<String> {
    match ask(app, (scope, identity), thread, checkpoint, subgraphs).await? {
        Some(answer) => Ok(answer.state.as_str().to_owned()),
        None => Ok(ThreadStateBody::EMPTY.to_owned()),
    }
}

/// Asks the graph for the newest state. If no run has set the thread's state (its checkpoints came from elsewhere), the
/// server stores the answer in the thread's row.
pub(super) async fn newest_state(
    app: &App,
    (scope, identity): (&Scope, &Identity),
    thread: &Thread,
    subgraphs: bool,
) -> ApiResult<String> {
    let answer = ask(app, (scope, identity), thread, &CheckpointConfig::default(), subgraphs).await?;
    let Some(StateAnswer { state, thread: summary, .. }) = answer else { return Ok(ThreadStateBody::EMPTY.to_owned()) };
    let unknown = thread.status == ThreadStatus::Idle && thread.values.is_none() && thread.interrupts.is_none();
    if unknown && !subgraphs {
        let row = app.storage.thread(scope, thread.thread_id).await?;
        // A run that began in the meantime has newer data.
        if row.is_some_and(|row| row.updated_at == thread.updated_at)
            && let Err(error) = store(app, scope, thread, &state, summary).await
        {
            tracing::debug!(thread.id = %thread.thread_id, error = error.message(), "a state was not stored in the thread's row");
        }
    }
    Ok(state.as_str().to_owned())
}

/// The graph's answer; `None` if the thread's graph is unknown.
async fn ask(
    app: &App,
    (scope, identity): (&Scope, &Identity),
    thread: &Thread,
    checkpoint: &CheckpointConfig,
    subgraphs: bool,
) -> ApiResult<Option<StateAnswer>> {
    let Some(graph_id) = graph_id(thread) else { return Ok(None) };
    let config = config(thread, checkpoint, identity)?;
    let request = StateRequest::new(graph_id, config).with_subgraphs(subgraphs);
    Ok(Some(app.executor.get_state(app.execution_context(scope), request).await?))
}

/// Stores a new state in the thread's row. Returns `None` if the thread has no checkpoint.
///
/// # Errors
/// 409 if a run has begun in the meantime.
pub(super) async fn store(
    app: &App,
    scope: &Scope,
    thread: &Thread,
    state: &RawJson,
    summary: StateSummary,
) -> ApiResult<Option<Thread>> {
    let mut entries: Entries<'_> = state.decode()?;
    let Some(checkpoint_id) = summary.checkpoint_id else { return Ok(None) };
    let values = entries.take("values").map_or("null", |values| values.get()).to_owned();
    let state = ThreadState { checkpoint_id, values: RawJson::from_text(values)?, rest: RawJson::of(&entries)? };
    let kept = app.storage.set_thread_state(scope, thread.thread_id, summary.status, summary.interrupts, state).await;
    kept.map(Some).on(ErrorKind::Conflict, || in_flight(thread))
}

/// Sends the update of a thread's state to the thread's readers. The update is already stored, so a failure here is
/// only logged.
pub(super) async fn publish(app: &App, thread: &Thread, state: &RawJson) {
    let thread_id = thread.thread_id;
    let published = async {
        let data = format!(r#"{{"state":{},"thread_id":"{thread_id}"}}"#, state.as_str());
        let event = NewEvent { name: "state_update".into(), data: data.into() };
        app.events.append_to_thread(thread_id, vec![event]).await
    };
    if let Err(error) = published.await {
        tracing::warn!(thread.id = %thread_id, error = error.message(), "an update of a thread's state was not sent to its readers");
    }
}

pub(super) fn in_flight(thread: &Thread) -> ApiError {
    ApiError::conflict(format!("Thread {} has in-flight runs", thread.thread_id))
}
