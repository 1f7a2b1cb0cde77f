use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{Assistant, CronCreator, NewCron};
use langopen_core::run_plan::{RunPlan, RunRequest, TargetThread, without_reserved_metadata};
use langopen_core::{CronId, ErrorKind, JsonMap, RawJson, RunId, Scope, ThreadId};
use serde_json::json;

use super::body::{CronCreate, Given, ThreadCronCreate};
use super::check::{assistant, check_payload, check_schedule, end_time, with_cron_id};
use crate::agent::App;
use crate::agent::NewRunPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::agent::runs::permit_run;
use crate::agent::wire::CronBody;
use crate::http::access::Caller;
use crate::http::extract::Body;

/// Create Thread Cron
///
/// Runs an assistant on a thread, on a schedule.
#[utoipa::path(
    post, path = "/threads/{thread_id}/runs/crons", tag = "Crons", operation_id = "create_thread_cron",
    params(("thread_id" = Uuid, Path, description = "The thread")),
    request_body = ThreadCronCreate,
    responses(
        (status = 200, description = "The cron", body = CronBody),
        (status = 400, description = "Both context and configurable are given", body = ErrorResponse),
        (status = 404, description = "No such thread or assistant", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn create_thread_cron(
    State(app): State<App>,
    caller: Caller,
    NewRunPath(thread_id): NewRunPath,
    Body(body): Body<ThreadCronCreate>,
) -> ApiResult<Json<CronBody>> {
    create(&app, &caller, Some(thread_id), body.into()).await
}

/// Create Cron
///
/// Runs an assistant on a schedule, each time on a new thread.
#[utoipa::path(
    post, path = "/runs/crons", tag = "Crons", operation_id = "create_cron",
    request_body = CronCreate,
    responses(
        (status = 200, description = "The cron", body = CronBody),
        (status = 400, description = "Both context and configurable are given", body = ErrorResponse),
        (status = 404, description = "No such assistant", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn create_cron(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<CronCreate>,
) -> ApiResult<Json<CronBody>> {
    create(&app, &caller, None, body.into()).await
}

async fn create(app: &App, caller: &Caller, thread_id: Option<ThreadId>, given: Given) -> ApiResult<Json<CronBody>> {
    let cron_id = CronId(app.ids.ordered());
    let schedule = given.schedule.clone().unwrap_or_default();
    check_schedule(app, schedule.clone(), given.timezone.clone()).await?;
    let ends = given.end_time.clone().flatten().as_deref().map(end_time).transpose()?;
    let thread = thread_id.map_or_else(|| TargetThread::Own(ThreadId(app.ids.ordered())), TargetThread::Given);
    let mut payload = given.payload()?;
    check_payload(app, thread, &payload)?;
    payload.insert("assistant_id", RawJson::of(&given.assistant_id)?);
    payload.insert("config", with_cron_id(given.config, cron_id)?);

    let user = caller.identity.identity.as_str();
    let mut metadata = without_reserved_metadata(given.metadata.unwrap_or_default());
    let value = || {
        json!({
            "cron_id": cron_id, "thread_id": thread_id, "user_id": user, "schedule": schedule, "end_time": ends,
            "payload": payload, "metadata": metadata,
        })
    };
    let mut permit = caller.may(Resource::Crons, Action::Create, value).await?;
    metadata = permit.object("metadata", metadata);
    let assistant = assistant(app, caller, &given.assistant_id).await?;
    payload.insert("assistant_id", RawJson::of(&assistant.assistant_id)?);
    // The scheduler creates the runs without asking the authorizer, so the API asks the authorizer now.
    let request = RawJson::of(&payload)?
        .decode::<RunRequest>()?
        .with_metadata(Some(metadata))
        .with_multitask_strategy(given.multitask_strategy);
    let mut plan = plan(app, caller, thread, request, &assistant);
    let scope = permit_run(caller, &mut plan).await?;
    if let Some(id) = thread_id {
        check_thread(app, caller, id, &scope).await?;
    }
    let new = NewCron {
        cron_id,
        assistant_id: assistant.assistant_id,
        thread_id,
        creator: CronCreator::from(&caller.identity),
        schedule,
        timezone: given.timezone,
        end_time: ends,
        payload: RawJson::of(&payload)?,
        metadata: plan.request.metadata.unwrap_or_default(),
        on_run_completed: thread_id.is_none().then(|| given.on_run_completed.unwrap_or_default()),
        enabled: given.enabled.unwrap_or(true),
    };
    // A concurrent request has deleted the assistant or the thread after the checks above.
    let gone = || ApiError::not_found("Thread or assistant not found.");
    let cron = app.storage.create_cron(&permit.scope, new).await.on(ErrorKind::NotFound, gone)?;
    tracing::debug!(cron.id = %cron.cron_id, "a cron was created");
    Ok(Json(cron.into()))
}

/// The plan of the cron's runs, as far as the authorizer sees it.
fn plan<'a>(
    app: &App,
    caller: &'a Caller,
    thread: TargetThread,
    request: RunRequest,
    assistant: &'a Assistant,
) -> RunPlan<'a> {
    RunPlan {
        run_id: RunId(app.ids.ordered()),
        thread,
        request,
        assistant,
        identity: &caller.identity,
        headers: &[],
        request_id: None,
        now: app.clock.now(),
        needs_values: false,
        stamp: JsonMap::new(),
        firing: None,
        thread_ttl: None,
    }
}

/// Checks that the caller may read the thread and create runs on it; `runs` is the scope for the latter.
async fn check_thread(app: &App, caller: &Caller, id: ThreadId, runs: &Scope) -> ApiResult<()> {
    let value = || json!({"thread_id": id, "metadata": {}});
    let readable = caller.may(Resource::Threads, Action::Read, value).await?.scope;
    for scope in [&readable, runs] {
        if app.storage.thread(scope, id).await?.is_none() {
            return Err(ApiError::not_found(format!(
                "Thread with ID '{id}' not found. Please verify the ID is correct and the thread hasn't been deleted or expired."
            )));
        }
    }
    Ok(())
}
