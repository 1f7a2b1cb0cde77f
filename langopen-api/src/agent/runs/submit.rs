//! Submits a run: finds its assistant, authorizes it, plans it and enqueues it.

use langopen_core::auth::{Action, Resource};
use langopen_core::event_log::{EventStream, LogKey};
use langopen_core::model::{Assistant, MultitaskStrategy, Run};
use langopen_core::run_plan::{RunPlan, TargetThread};
use langopen_core::{AssistantId, Error, ErrorKind, JsonMap, RunId, Scope, ThreadId};
use serde_json::{Value, json};

use super::on_disconnect::CancelOnDrop;
use crate::agent::App;
use crate::agent::Forwarded;
use crate::agent::assistants::is_system;
use crate::agent::error::{ApiError, ApiResult};
use crate::agent::metrics::record_created;
use crate::agent::run_body::{RunCreate, both_given, check_request};
use crate::agent::wire::OnDisconnect;
use crate::http::access::{Caller, Permit};

const NO_THREAD_OR_ASSISTANT: &str = "Thread or assistant not found.";

/// The data about the run that the answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attach {
    /// Only its row.
    Nothing,
    /// Its events.
    Stream,
    /// Its last values.
    Values,
}

/// A run that the server has created.
pub(crate) struct Submitted {
    pub(crate) run: Run,
    /// Its events from the first one; `None` for [`Attach::Nothing`].
    pub(crate) events: Option<EventStream>,
    /// Cancels the run when its client disconnects, if the client asked for that.
    pub(super) guard: CancelOnDrop,
}

pub(crate) async fn submit(
    app: &App,
    caller: &Caller,
    forwarded: &Forwarded,
    thread_id: Option<ThreadId>,
    create: RunCreate,
    attach: Attach,
) -> ApiResult<Submitted> {
    let thread = thread_id.map_or_else(|| TargetThread::Own(ThreadId(app.ids.ordered())), TargetThread::Given);
    let RunCreate { assistant_id, on_disconnect, request } = create;
    check_request(&app.settings, thread, &request)?;
    let assistant = assistant(app, caller, &assistant_id).await?;
    let cancel = on_disconnect == OnDisconnect::Cancel;
    let request_id = forwarded.request_id.clone().unwrap_or_else(|| app.ids.random().to_string());
    let mut plan = RunPlan {
        run_id: RunId(app.ids.ordered()),
        thread,
        request,
        assistant: &assistant,
        identity: &caller.identity,
        headers: &forwarded.headers,
        request_id: Some(request_id),
        now: app.clock.now(),
        needs_values: attach == Attach::Values,
        stamp: JsonMap::new(),
        thread_ttl: app.settings.thread_ttl,
        firing: None,
    };
    let scope = permit_run(caller, &mut plan).await?;
    let mut new = plan.build().map_err(both_given)?;
    if new.origin.trace.is_none() {
        // This server exports no spans here, but the graph may: its spans join the client's trace.
        new.origin.trace.clone_from(&forwarded.trace);
    }
    let log = LogKey { thread_id: thread.thread_id(), run_id: new.run_id };
    // Open the log before the run can emit anything.
    let events = match attach {
        Attach::Nothing => None,
        Attach::Stream | Attach::Values => Some(app.events.begin(log).await?),
    };
    // The guard also covers a client that disconnects while the run is being created.
    let mut guard = CancelOnDrop::new(app, &scope.tenant, log, cancel);
    let run = match app.runs.submit(&scope, new).await {
        Ok(run) => run,
        Err(error) => {
            guard.disarm();
            return Err(refused(error, thread));
        }
    };
    record_created(&run);
    tracing::debug!("a run was created");
    Ok(Submitted { run, events, guard })
}

fn refused(error: Error, thread: TargetThread) -> ApiError {
    match error.kind() {
        ErrorKind::NotFound => ApiError::not_found(NO_THREAD_OR_ASSISTANT),
        ErrorKind::Conflict => ApiError::conflict(
            "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.",
        ),
        // With `if_not_exists: create`, the thread exists, but the caller's filter hides it.
        ErrorKind::AlreadyExists if matches!(thread, TargetThread::Given(_)) => {
            ApiError::not_found(NO_THREAD_OR_ASSISTANT)
        }
        ErrorKind::AlreadyExists => ApiError::conflict(format!("Thread with ID {} already exists", thread.thread_id())),
        _ => error.into(),
    }
}

/// Finds an assistant that the caller may run, by its id or by the id of its graph. The first result is true if the
/// name was an id.
///
/// Every caller may run the system assistant of a graph: no user owns it, so an owner's filter would hide it from all
/// callers. For the assistants of users, the authorizer decides as for a read.
pub(crate) async fn named_assistant(app: &App, caller: &Caller, name: &str) -> ApiResult<(bool, Option<Assistant>)> {
    let id: Option<AssistantId> = name.parse().ok();
    let wanted = id.unwrap_or_else(|| AssistantId::system(name));
    let everything = Scope::tenant(caller.identity.tenant.clone());
    let held = app.storage.assistant(&everything, wanted).await?;
    let by_id = id.is_some();
    if held.as_ref().map_or(!by_id, is_system) {
        return Ok((by_id, held));
    }
    let value = || json!({"assistant_id": wanted, "metadata": {}});
    let Permit { scope, .. } = caller.may(Resource::Assistants, Action::Read, value).await?;
    let visible = |assistant: &Assistant| scope.filter.is_none_or(|filter| filter.matches(&assistant.metadata));
    Ok((by_id, held.filter(visible)))
}

async fn assistant(app: &App, caller: &Caller, name: &str) -> ApiResult<Assistant> {
    let (by_id, assistant) = named_assistant(app, caller, name).await?;
    if let Some(assistant) = assistant {
        return Ok(assistant);
    }
    if by_id {
        return Err(ApiError::not_found(NO_THREAD_OR_ASSISTANT));
    }
    let graphs: Vec<_> = app.executor.graphs().await?.into_iter().map(|graph| graph.graph_id).collect();
    Err(ApiError::invalid(format!(
        "Invalid assistant: '{name}'. Must be either:\n- A valid assistant UUID, or\n- One of the registered graphs: {}",
        graphs.join(", ")
    )))
}

/// Authorizes `threads.create_run`, and replaces the metadata with the authorizer's version.
pub(crate) async fn permit_run(caller: &Caller, plan: &mut RunPlan<'_>) -> ApiResult<Scope> {
    let given = plan.request.metadata.clone().unwrap_or_default();
    let value = || {
        let request = &plan.request;
        let strategy = request.multitask_strategy.unwrap_or_default();
        json!({
            "thread_id": plan.thread.given(),
            "assistant_id": plan.assistant.assistant_id,
            "run_id": plan.run_id,
            "status": "pending",
            "metadata": given,
            "prevent_insert_if_inflight": strategy == MultitaskStrategy::Reject,
            "multitask_strategy": strategy,
            "if_not_exists": request.if_not_exists.unwrap_or_default(),
            "after_seconds": request.after_seconds.clone().unwrap_or_else(|| 0.into()),
            "action": null,
            "kwargs": {
                "input": request.input, "command": request.command, "config": request.config, "context": request.context,
            },
        })
    };
    let mut permit = caller.may(Resource::Threads, Action::CreateRun, value).await?;
    if permit.value.is_some() {
        let left = permit.object("metadata", JsonMap::new());
        let filter = permit.scope.filter.as_ref();
        let stamped = |(key, value): &(&String, &Value)| {
            given.get(*key) != Some(value) || filter.is_some_and(|filter| filter.wants(key, value))
        };
        plan.stamp = left.iter().filter(stamped).map(clone_entry).collect();
        plan.request.metadata = Some(left);
    }
    Ok(match plan.thread {
        TargetThread::Given(_) => permit.scope,
        // The thread does not exist yet, so no filter applies to it.
        TargetThread::Own(_) => Scope::tenant(permit.scope.tenant),
    })
}

fn clone_entry((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}
