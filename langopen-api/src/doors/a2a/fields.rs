//! What the input of an agent's graph may hold. Asking the graph takes longer than most runs of it, and a message is not to wait for that each time.

use std::sync::Arc;
use std::time::Duration;

use langopen_core::executor::GraphCall;
use langopen_core::{AssistantId, Tenant, Timestamp};
use moka::sync::Cache;
use rmcp::model::ErrorData;
use serde_json::Value;

use super::request::Request;
use crate::agent::assistants::graph_config;
use crate::doors::json_rpc::{failed, invalid};

/// How long an answer is kept: a graph may be made anew for each caller, and need not stay the same.
const FRESH: Duration = Duration::from_secs(60);

/// How many are kept.
const MOST: u64 = 1000;

/// The fields of a graph's input, as far as its schema tells.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    /// `None` if the schema does not name them.
    pub(super) properties: Option<Vec<String>>,
    pub(super) required: Vec<Value>,
}

/// Fields that were asked for, by the version of the assistant.
pub(crate) struct KnownFields(Cache<(Tenant, AssistantId, Timestamp), Arc<Fields>>);

impl Default for KnownFields {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(FRESH).build())
    }
}

impl Fields {
    /// Whether there is a place for messages.
    pub(super) fn converses(&self) -> bool {
        self.properties.iter().flatten().any(|field| field == "messages")
    }
}

/// The fields of the agent's input.
pub(super) async fn fields(request: &Request) -> Result<Arc<Fields>, ErrorData> {
    let Request { app, assistant, caller, scope, .. } = request;
    let key = (scope.tenant.clone(), assistant.assistant_id, assistant.updated_at);
    if let Some(known) = app.known_fields.0.get(&key) {
        return Ok(known);
    }
    let config = graph_config(assistant, caller).map_err(|error| failed(&error))?;
    let call = GraphCall::Schemas { graph_id: assistant.graph_id.clone(), config };
    let schemas: Value = match app.executor.call(app.reach(scope), call).await {
        Ok(schemas) => schemas.decode().unwrap_or_default(),
        // The run itself tells what is wrong with the graph.
        Err(error) => {
            tracing::warn!(graph_id = assistant.graph_id, error = %error, "a graph does not tell its schemas");
            return Ok(Arc::default());
        }
    };
    let schema = &schemas["input_schema"];
    let properties = schema["properties"].as_object().map(|properties| properties.keys().cloned().collect());
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = Arc::new(Fields { properties, required });
    app.known_fields.0.insert(key, fields.clone());
    Ok(fields)
}

/// # Errors
/// For a graph that has no place for messages.
pub(super) async fn must_converse(request: &Request) -> Result<(), ErrorData> {
    let fields = fields(request).await?;
    let Some(properties) = fields.properties.as_ref().filter(|_| !fields.converses()) else { return Ok(()) };
    let properties: Vec<_> = properties.iter().map(|field| format!("'{field}'")).collect();
    Err(invalid(format!(
        "Assistant '{}' (graph '{}') does not support A2A conversational messages. Graph input schema must include a 'messages' field to accept text or file \
         parts. Available input fields: [{}]",
        request.assistant.assistant_id,
        request.assistant.graph_id,
        properties.join(", ")
    )))
}
