//! The input fields of an agent's graph. Reading a graph's schema takes longer than most runs, so a cache spares
//! messages this wait.

use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use langopen_core::executor::SchemasRequest;
use langopen_core::{AssistantId, Tenant, Timestamp};
use moka::sync::Cache;
use rmcp::model::ErrorData;
use serde_json::Value;

use super::request::Request;
use crate::agent::assistants::graph_config;
use crate::doors::json_rpc::{failed, invalid};

/// The lifetime of a cached answer. A graph may be built per caller and may change.
const FRESH: Duration = Duration::from_secs(60);

/// The most cached answers.
const MOST: u64 = 1000;

/// The input fields of a graph, as far as its schema names them.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    /// `None` if the schema does not name them.
    pub(super) properties: Option<Vec<String>>,
    pub(super) required: Vec<Value>,
}

/// Cached fields, by the assistant's version. A layer around this door's routes adds the cache to each request.
#[derive(Clone)]
pub(super) struct KnownFields(Cache<(Tenant, AssistantId, Timestamp), Arc<Fields>>);

impl Default for KnownFields {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(FRESH).build())
    }
}

impl KnownFields {
    /// The cache that the layer has added to the request.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }
}

impl Fields {
    /// Whether the graph accepts messages.
    pub(super) fn converses(&self) -> bool {
        self.properties.iter().flatten().any(|field| field == "messages")
    }
}

/// The fields of the agent's input.
pub(super) async fn fields(request: &Request) -> Result<Arc<Fields>, ErrorData> {
    let Request { app, assistant, caller, scope, known_fields, .. } = request;
    let key = (scope.tenant.clone(), assistant.assistant_id, assistant.updated_at);
    if let Some(known) = known_fields.0.get(&key) {
        return Ok(known);
    }
    let config = graph_config(assistant, caller).map_err(failed)?;
    let request = SchemasRequest::new(&*assistant.graph_id, config).with_names_only();
    let schema: Value = match app.executor.schemas(app.execution_context(scope), request).await {
        Ok(schemas) => schemas.input_schema.decode().unwrap_or_default(),
        // The run itself reports what is wrong with the graph.
        Err(error) => {
            tracing::warn!(graph_id = assistant.graph_id, error = %error, "cannot read the graph's schemas");
            return Ok(Arc::default());
        }
    };
    let properties = schema["properties"].as_object().map(|properties| properties.keys().cloned().collect());
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = Arc::new(Fields { properties, required });
    known_fields.0.insert(key, fields.clone());
    Ok(fields)
}

/// # Errors
/// If the graph has no field for messages.
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
