//! Calls a tool: runs its assistant on a new thread.

use langopen_core::auth::Role;
use langopen_core::model::Assistant;
use langopen_core::run_plan::RunRequest;
use langopen_core::{JsonMap, RawJson};
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Deserialize;
use serde_json::{Value, json};

use super::endpoint::text;
use super::tools;
use crate::agent::App;
use crate::agent::Forwarded;
use crate::agent::error::ApiResult;
use crate::agent::run_body::RunCreate;
use crate::agent::runs::come_to;
use crate::agent::wire::OnDisconnect;
use crate::doors::json_rpc::{Answer, answer, failed, invalid};
use crate::http::access::Caller;

#[derive(Deserialize)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Option<JsonMap>,
    #[serde(default)]
    context: Option<JsonMap>,
}

/// Runs the tool's assistant and returns its last values as JSON.
pub(super) async fn call(app: &App, caller: &Caller, forwarded: &Forwarded, params: &RawJson) -> Answer {
    caller.must_be(Role::Developer).map_err(failed)?;
    let Call { name, arguments, context } = params.decode().map_err(|error| invalid(error.to_string()))?;
    let mut named = named(app, caller, &name).await.map_err(failed)?;
    let assistant = match (named.pop(), named.is_empty()) {
        (Some(assistant), true) => assistant,
        (Some(_), false) => return Err(invalid("Multiple tools found with the same name.")),
        (None, _) => return Err(invalid(format!("Unknown tool: {name}"))),
    };
    let request = RunRequest::default()
        .with_input(Some(Value::Object(input(arguments.unwrap_or_default())).into()))
        .with_context(context);
    // No other client can get the run's result.
    let on_disconnect = OnDisconnect::Cancel;
    let create = RunCreate { assistant_id: assistant.assistant_id.to_string(), on_disconnect, request };
    let outcome = come_to(app, caller, forwarded, create).await.map_err(failed)?;
    let outcome = String::from_utf8_lossy(&outcome).trim().to_owned();
    let failure =
        serde_json::from_str::<Value>(&outcome).ok().and_then(|mut value| Some(value.get_mut("__error__")?.take()));
    let mut result = match failure {
        Some(failure) => {
            let (class, message) = (text(&failure, "error"), text(&failure, "message"));
            CallToolResult::error(vec![ContentBlock::text(format!("{class}: {message}"))])
        }
        None => CallToolResult::success(vec![ContentBlock::text(outcome)]),
    };
    // This field is newer than the protocol versions that the server speaks.
    result.result_type = None;
    result.is_error = result.is_error.filter(|error| *error);
    answer(&result)
}

/// The assistants whose tool has this name.
async fn named(app: &App, caller: &Caller, name: &str) -> ApiResult<Vec<Assistant>> {
    let (mut found, mut offset) = (Vec::new(), 0);
    loop {
        let (_, page, more) = tools::assistants(app, caller, offset).await?;
        offset += u32::try_from(page.len()).unwrap_or(u32::MAX);
        found.extend(page.into_iter().filter(|assistant| tools::name(assistant) == name));
        if !more {
            return Ok(found);
        }
    }
}

/// The graph's input. A string under `messages` becomes a user message.
fn input(mut arguments: JsonMap) -> JsonMap {
    if let Some(Value::String(said)) = arguments.get("messages") {
        let messages = json!([{"role": "user", "content": said}]);
        arguments.insert("messages".to_owned(), messages);
    }
    arguments
}
