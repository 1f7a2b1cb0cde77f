use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::agent::App;

/// The version, the features and the host of the server.
#[derive(Serialize, ToSchema)]
#[schema(as = ServerInfo)]
pub(super) struct Info {
    /// The version of the Agent Server whose dialect this server speaks.
    version: String,
    langgraph_py_version: String,
    #[schema(inline)]
    flags: Flags,
    #[schema(inline)]
    host: Host,
}

/// The features that the server offers.
#[derive(Serialize, ToSchema)]
struct Flags {
    assistants: bool,
    crons: bool,
    langsmith: bool,
    langsmith_tracing_replicas: bool,
    langsmith_tracing_session_on_runs: bool,
}

/// Where the server runs.
#[derive(Serialize, ToSchema)]
struct Host {
    kind: String,
    project_id: Option<String>,
    host_revision_id: Option<String>,
    revision_id: Option<String>,
    tenant_id: Option<String>,
}

/// Server Information
#[utoipa::path(
    get, path = "/info", tag = "Meta", operation_id = "get_info",
    responses((status = 200, description = "The server's version, features and host", body = Info))
)]
pub(super) async fn get_info(State(app): State<App>) -> Json<Info> {
    let settings = &app.settings;
    let host = settings.host.clone();
    Json(Info {
        version: settings.version.clone(),
        langgraph_py_version: settings.langgraph_version.clone(),
        flags: Flags {
            assistants: settings.features.assistants,
            crons: settings.crons && settings.features.runs,
            langsmith: false,
            langsmith_tracing_replicas: false,
            langsmith_tracing_session_on_runs: false,
        },
        host: Host {
            kind: host.kind,
            project_id: host.project_id,
            host_revision_id: host.host_revision_id,
            revision_id: host.revision_id,
            tenant_id: host.tenant_id,
        },
    })
}
