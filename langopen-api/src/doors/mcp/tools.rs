//! Lists assistants as tools.

use std::sync::Arc;

use langopen_core::auth::{Action, Resource};
use langopen_core::executor::SchemasRequest;
use langopen_core::model::{Assistant, AssistantQuery};
use langopen_core::{JsonMap, RawJson, Scope};
use rmcp::model::{Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::App;
use crate::agent::assistants::{graph_config, graph_ids};
use crate::agent::error::{ApiError, ApiResult};
use crate::doors::json_rpc::{Answer, answer, failed, invalid};
use crate::http::access::Caller;

/// The number of tools on a page.
const PAGE: u32 = 100;

/// The most characters in a tool's name.
const NAME: usize = 128;

/// The name of an assistant's tool: the assistant's or graph's name, with `_` for characters that tool names cannot
/// have.
pub(super) fn name(assistant: &Assistant) -> String {
    let own = if assistant.name.trim().is_empty() { &assistant.graph_id } else { &assistant.name };
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "_-".contains(letter) { letter } else { '_' };
    own.chars().map(plain).take(NAME).collect()
}

/// A page of the assistants that the caller may see, and whether more follow.
pub(super) async fn assistants(app: &App, caller: &Caller, offset: u32) -> ApiResult<(Scope, Vec<Assistant>, bool)> {
    let mut query =
        AssistantQuery::default().with_graphs(Some(graph_ids(app).await?)).with_limit(PAGE).with_offset(offset);
    let value = || json!({"graph_id": null, "metadata": {}, "limit": PAGE, "offset": offset});
    let mut permit = caller.may(Resource::Assistants, Action::Search, value).await?;
    query.metadata = permit.object("metadata", JsonMap::new());
    query.graph_id = permit.take("graph_id", None)?;
    let page = app.storage.search_assistants(&permit.scope, &query).await?;
    Ok((permit.scope, page.items, page.more))
}

pub(super) async fn list(app: &App, caller: &Caller, params: &RawJson) -> Answer {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct List {
        cursor: Option<String>,
    }
    let List { cursor } = params.decode().map_err(|error| invalid(error.to_string()))?;
    let offset = match cursor {
        Some(cursor) => cursor.parse().map_err(|_| invalid(format!("Invalid cursor: {cursor}")))?,
        None => 0,
    };
    let (scope, assistants, more) = assistants(app, caller, offset).await.map_err(failed)?;
    let mut tools = Vec::with_capacity(assistants.len());
    for assistant in &assistants {
        tools.push(tool(app, caller, &scope, assistant).await.map_err(failed)?);
    }
    let mut result = json!({"tools": tools});
    if more {
        result["nextCursor"] = (offset + PAGE).to_string().into();
    }
    answer(&result)
}

async fn tool(app: &App, caller: &Caller, scope: &Scope, assistant: &Assistant) -> ApiResult<Tool> {
    let config = graph_config(assistant, caller)?;
    let request = SchemasRequest::new(&*assistant.graph_id, config);
    let input: Value = match app.executor.schemas(app.execution_context(scope), request).await {
        Ok(schemas) => schemas.input_schema.decode().map_err(ApiError::from)?,
        // A graph without schemas must not hide the other tools.
        Err(error) => {
            tracing::warn!(graph_id = assistant.graph_id, error = %error, "cannot read the graph's schemas; its tool is listed with an empty input schema");
            Value::Null
        }
    };
    let title = if assistant.name.trim().is_empty() { &assistant.graph_id } else { &assistant.name };
    let own = assistant.description.clone().filter(|text| !text.trim().is_empty());
    let description = own.unwrap_or_else(|| format!("Tool based on the {title} assistant"));
    let tool = Tool::new(name(assistant), description, Arc::new(schema(&input)));
    let annotations: ToolAnnotations = serde_json::from_value(json!({
        "readOnlyHint": false, "destructiveHint": false, "idempotentHint": false, "openWorldHint": true,
    }))?;
    Ok(tool.with_title(title).with_annotations(annotations))
}

/// The tool's input schema: the graph's, with a string in place of its messages.
fn schema(input: &Value) -> JsonMap {
    let mut schema = input.as_object().cloned().unwrap_or_default();
    schema.insert("type".to_owned(), "object".into());
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Some(messages) = properties.get_mut("messages") {
        *messages =
            json!({"type": "string", "title": "Messages", "description": "The user message to send to the agent."});
        if !properties.to_string().contains("\"$ref\"") {
            schema.shift_remove("$defs");
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_a_text() {
        let input = json!({
            "$defs": {"Message": {}}, "title": "State",
            "properties": {"messages": {"type": "array", "items": {"$ref": "#/$defs/Message"}}}, "required": ["messages"],
        });
        let schema = schema(&input);
        assert_eq!(schema["properties"]["messages"]["type"], "string");
        assert!(!schema.contains_key("$defs") && schema["type"] == "object");
        assert_eq!(super::schema(&Value::Null)["type"], "object");
    }
}
