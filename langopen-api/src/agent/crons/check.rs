//! Validates a cron before the server stores it.

use langopen_core::model::Assistant;
use langopen_core::run_plan::{RunRequest, TargetThread, mirror};
use langopen_core::schedule::Schedule;
use langopen_core::{CronId, JsonMap, RawJson, RawObject, Timestamp};
use serde_json::{Value, json};

use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult};
use crate::agent::run_body::{both_given, check_request};
use crate::agent::runs::named_assistant;
use crate::http::access::Caller;
use crate::http::extract::field::shorten;

/// Refuses an invalid schedule, or one that never fires. The search for the next firing takes a while, so it runs on a
/// blocking thread.
pub(super) async fn check_schedule(app: &App, schedule: String, timezone: Option<String>) -> ApiResult<()> {
    let now = app.clock.now();
    let look = move || {
        let parsed = Schedule::parse(&schedule, timezone.as_deref())?;
        Ok::<_, langopen_core::Error>(parsed.next_after(now).is_some().then_some(()).ok_or(schedule))
    };
    let looked = tokio::task::spawn_blocking(look).await.map_err(|error| {
        tracing::error!(error = %error, "a schedule could not be checked");
        ApiError::internal()
    })?;
    looked?.map_err(|schedule| {
        ApiError::invalid(format!("Invalid cron schedule: '{}'. Reason: It never fires.", shorten(&schedule)))
    })
}

/// Parses a date and time of ISO 8601. Without an offset, it is UTC.
pub(super) fn end_time(text: &str) -> ApiResult<Timestamp> {
    let moment = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")));
    moment
        .ok_or_else(|| ApiError::invalid(format!("end_time: {:?} is not a date and time of ISO 8601", shorten(&text))))
}

/// Checks a payload as the body of the run that the scheduler will create from it.
pub(super) fn check_payload(app: &App, thread: TargetThread, payload: &RawObject) -> ApiResult<()> {
    let mut request: RunRequest = RawJson::of(payload)?.decode()?;
    check_request(&app.settings, thread, &request)?;
    let mut config = request.config.take().unwrap_or_default();
    if let Some(Value::Object(configurable)) = config.get_mut("configurable") {
        configurable.shift_remove("cron_id");
    }
    mirror(&mut config, request.context.take()).map_err(both_given)?;
    Ok(())
}

/// Adds the cron's id to `configurable`, where its runs can read it.
pub(super) fn with_cron_id(config: Option<JsonMap>, id: CronId) -> serde_json::Result<RawJson> {
    let mut config = config.unwrap_or_default();
    let configurable = config.entry("configurable").or_insert_with(|| json!({}));
    if let Value::Object(configurable) = configurable {
        configurable.insert("cron_id".to_owned(), id.to_string().into());
    }
    RawJson::of(&config)
}

/// The assistant with this id, or the system assistant of this graph, if the caller may read it.
pub(super) async fn assistant(app: &App, caller: &Caller, name: &str) -> ApiResult<Assistant> {
    let (_, assistant) = named_assistant(app, caller, name).await?;
    assistant.ok_or_else(|| ApiError::not_found(format!("Assistant '{}' not found", shorten(&name))))
}
