//! Fields that are checked, and then carried as the text they came in.

use langopen_core::RawJson;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IntoDeserializer};
use serde_json::Value;

use crate::extract::field::{Object, shorten};
use crate::wire::{Command, Send, StreamMode};

/// `"*"` or an array of node names.
pub(super) fn nodes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    if raw.as_str() == "\"*\"" || raw.decode::<Vec<String>>().is_ok() {
        return Ok(Some(raw));
    }
    Err(D::Error::custom(format_args!("expected \"*\" or an array of strings, got {}", shorten(&raw.as_str()))))
}

/// A stream mode or an array of them.
pub(super) fn modes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<StreamMode>>, D::Error> {
    let Some(raw) = Option::<RawJson>::deserialize(deserializer)? else { return Ok(None) };
    let names: Result<Vec<String>, _> =
        if raw.as_str().starts_with('[') { raw.decode() } else { raw.decode().map(|name| vec![name]) };
    let mut unique = Vec::new();
    for name in names.map_err(D::Error::custom)? {
        let mode = StreamMode::deserialize(name.into_deserializer())?;
        if !unique.contains(&mode) {
            unique.push(mode);
        }
    }
    Ok((!unique.is_empty()).then_some(unique))
}

/// A command: `update` is an object, an array or null; `goto` a node, a `Send`, or a list of either kind.
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

/// Whether a command answers an interrupt; answering with `null` does so too.
pub(super) fn resumes(command: &RawJson) -> bool {
    command.decode::<serde_json::Map<String, Value>>().is_ok_and(|command| command.contains_key("resume"))
}
