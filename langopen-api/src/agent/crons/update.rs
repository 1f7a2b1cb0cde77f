use axum::Json;
use axum::extract::State;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::CronPatch as Patch;
use langopen_core::run_plan::{TargetThread, without_reserved_metadata};
use langopen_core::{ErrorKind, RawObject, ThreadId};
use serde_json::json;

use super::body::{CronPatch, Given};
use super::check::{check_payload, check_schedule, end_time, with_cron_id};
use crate::agent::App;
use crate::agent::CronPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse, OnKind};
use crate::agent::wire::CronBody;
use crate::http::access::Caller;
use crate::http::extract::Body;

/// Patch Cron
#[utoipa::path(
    patch, path = "/runs/crons/{cron_id}", tag = "Crons", operation_id = "patch_cron",
    params(("cron_id" = Uuid, Path, description = "The cron")),
    request_body = CronPatch,
    responses(
        (status = 200, description = "The cron as it is now", body = CronBody),
        (status = 400, description = "The body is empty, or both context and configurable are given", body = ErrorResponse),
        (status = 404, description = "No such cron", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn update_cron(
    State(app): State<App>,
    caller: Caller,
    CronPath(id): CronPath,
    Body(body): Body<CronPatch>,
) -> ApiResult<Json<CronBody>> {
    let given = Given::from(body);
    let mut payload = given.payload()?;
    if payload.is_empty() {
        return Err(ApiError::bad_request("Request body cannot be empty"));
    }
    let ends = match &given.end_time {
        Some(Some(text)) => Some(Some(end_time(text)?)),
        Some(None) => Some(None),
        None => None,
    };
    if let Some(config) = given.config {
        payload.insert("config", with_cron_id(Some(config), id)?);
    }
    let named = given.metadata.is_some();
    let metadata = without_reserved_metadata(given.metadata.unwrap_or_default());
    let value = || {
        let mut value = json!({"cron_id": id, "payload": payload, "schedule": given.schedule, "end_time": ends});
        if named {
            value["metadata"] = json!(metadata);
        }
        value
    };
    let mut permit = caller.may(Resource::Crons, Action::Update, value).await?;
    let metadata = permit.object("metadata", metadata);

    let not_found = || ApiError::not_found(format!("Cron '{id}' not found"));
    let held = app.storage.cron(&permit.scope, id).await?.ok_or_else(not_found)?;
    if given.schedule.is_some() || given.timezone.is_some() {
        let schedule = given.schedule.clone().unwrap_or(held.schedule);
        check_schedule(&app, schedule, given.timezone.clone().or(held.timezone)).await?;
    }
    let mut whole: RawObject = held.payload.decode()?;
    whole.extend(payload.clone());
    check_payload(&app, held.thread_id.map_or(TargetThread::Own(ThreadId(id.0)), TargetThread::Given), &whole)?;
    let patch = Patch::default()
        .with_schedule(given.schedule)
        .with_timezone(given.timezone)
        .with_end_time(ends)
        .with_payload(payload)
        .with_metadata(metadata)
        .with_on_run_completed(given.on_run_completed)
        .with_enabled(given.enabled);
    let cron = app.storage.update_cron(&permit.scope, id, patch).await.on(ErrorKind::NotFound, not_found)?;
    Ok(Json(cron.into()))
}
