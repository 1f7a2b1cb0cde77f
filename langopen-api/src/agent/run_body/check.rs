//! Checks of a run's body that need nothing but the body. The server then passes most fields on as JSON text.

use langopen_core::run_plan::{RunRequest, TargetThread};
use langopen_core::{Error, ErrorKind, RawJson};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;
use uuid::Uuid;

use crate::agent::error::{ApiError, ApiResult};
use crate::agent::wire::{Command, Send};
use crate::http::extract::field::{Object, shorten};
use crate::settings::Settings;

/// `"*"` or an array of node names.
pub(crate) fn nodes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    if raw.as_str() == "\"*\"" || raw.decode::<Vec<String>>().is_ok() {
        return Ok(Some(raw));
    }
    Err(D::Error::custom(format_args!("expected \"*\" or an array of strings, got {}", shorten(&raw.as_str()))))
}

/// A command. `update` must be an object, an array or null; `goto` a node, a `Send`, or a list of either kind.
pub(super) fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    if !raw.as_str().starts_with('{') {
        return Err(D::Error::custom(format_args!("expected an object, got {}", shorten(&raw.as_str()))));
    }
    let command: Command = raw.decode().map_err(D::Error::custom)?;
    if command.update.is_some_and(|update| !update.as_str().starts_with(['{', '['])) {
        return Err(D::Error::custom("update must be an object, an array or null"));
    }
    if command.goto.is_some_and(|goto| !goes(&goto)) {
        return Err(D::Error::custom(
            "goto must be a node, a Send {node, input}, or a list of only nodes or only Sends",
        ));
    }
    Ok(Some(raw))
}

/// Whether this is a node, a `Send`, or a list of either kind.
fn goes(goto: &RawJson) -> bool {
    goto.decode::<String>().is_ok()
        || goto.decode::<Object<Send>>().is_ok()
        || goto.decode::<Vec<String>>().is_ok()
        || goto.decode::<Vec<Object<Send>>>().is_ok()
}

/// Whether a command answers an interrupt. An answer of `null` counts too.
fn resumes(command: &RawJson) -> bool {
    command.decode::<serde_json::Map<String, Value>>().is_ok_and(|command| command.contains_key("resume"))
}

/// Refuses a webhook that the server could not deliver.
pub(crate) fn check_webhook(settings: &Settings, webhook: Option<&str>) -> ApiResult<()> {
    let Some(webhook) = webhook else { return Ok(()) };
    let Some(policy) = settings.webhooks.as_ref().filter(|_| settings.features.webhooks) else {
        return Err(ApiError::invalid("webhook: this server delivers no webhooks; leave the field out"));
    };
    policy.check(webhook).map(drop).map_err(|blocked| ApiError::invalid(blocked.to_string()))
}

/// Checks that need only the body and the settings.
pub(crate) fn check_request(settings: &Settings, thread: TargetThread, request: &RunRequest) -> ApiResult<()> {
    check_webhook(settings, request.webhook.as_deref())?;
    if matches!(thread, TargetThread::Own(_)) && request.command.as_ref().is_some_and(resumes) {
        return Err(ApiError::bad_request("You must provide a thread_id when resuming."));
    }
    let named = request.checkpoint.as_ref().and_then(|checkpoint| checkpoint.checkpoint_id.as_deref());
    for id in [named, request.checkpoint_id.as_deref()].into_iter().flatten() {
        id.parse::<Uuid>().map_err(|_| ApiError::invalid("Invalid checkpoint ID"))?;
    }
    Ok(())
}

/// The answer if both `context` and `config.configurable` are given: 400, unlike for other invalid input.
pub(crate) fn both_given(error: Error) -> ApiError {
    match error.kind() {
        ErrorKind::Invalid => ApiError::bad_request(error.message()),
        _ => error.into(),
    }
}
