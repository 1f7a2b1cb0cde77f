//! Which role an operation needs at least: the one table of it.

use http::Method;
use langopen_core::auth::Role::{self, Developer, Operator, Viewer};

use crate::http::error::{ApiError, ApiResult};

/// Method, path and least role of every operation that asks who calls.
const LEAST: &[(&str, &str, Role)] = &[
    ("POST", "/assistants", Developer),
    ("POST", "/assistants/search", Viewer),
    ("POST", "/assistants/count", Viewer),
    ("GET", "/assistants/{assistant_id}", Viewer),
    ("PATCH", "/assistants/{assistant_id}", Developer),
    ("DELETE", "/assistants/{assistant_id}", Operator),
    ("GET", "/assistants/{assistant_id}/graph", Viewer),
    ("GET", "/assistants/{assistant_id}/schemas", Viewer),
    ("GET", "/assistants/{assistant_id}/subgraphs", Viewer),
    ("GET", "/assistants/{assistant_id}/subgraphs/{namespace}", Viewer),
    ("POST", "/assistants/{assistant_id}/versions", Viewer),
    ("POST", "/assistants/{assistant_id}/latest", Developer),
    ("POST", "/ui/{name}", Viewer),
    ("POST", "/threads", Developer),
    ("POST", "/threads/search", Viewer),
    ("POST", "/threads/count", Viewer),
    ("POST", "/threads/prune", Operator),
    ("GET", "/threads/{thread_id}", Viewer),
    ("PATCH", "/threads/{thread_id}", Developer),
    ("DELETE", "/threads/{thread_id}", Operator),
    ("POST", "/threads/{thread_id}/copy", Developer),
    ("GET", "/threads/{thread_id}/storage", Viewer),
    ("GET", "/threads/{thread_id}/stream", Viewer),
    ("POST", "/threads/{thread_id}/stream/events", Viewer),
    ("GET", "/threads/{thread_id}/stream/events", Viewer),
    // Commands that do more than read ask for more themselves.
    ("POST", "/threads/{thread_id}/commands", Viewer),
    ("GET", "/threads/{thread_id}/state", Viewer),
    ("POST", "/threads/{thread_id}/state", Developer),
    ("GET", "/threads/{thread_id}/state/{checkpoint_id}", Viewer),
    ("POST", "/threads/{thread_id}/state/checkpoint", Viewer),
    ("GET", "/threads/{thread_id}/history", Viewer),
    ("POST", "/threads/{thread_id}/history", Viewer),
    ("GET", "/threads/{thread_id}/runs", Viewer),
    ("POST", "/threads/{thread_id}/runs", Developer),
    ("POST", "/threads/{thread_id}/runs/stream", Developer),
    ("POST", "/threads/{thread_id}/runs/wait", Developer),
    ("POST", "/threads/{thread_id}/runs/crons", Operator),
    ("GET", "/threads/{thread_id}/runs/{run_id}", Viewer),
    ("DELETE", "/threads/{thread_id}/runs/{run_id}", Operator),
    ("GET", "/threads/{thread_id}/runs/{run_id}/join", Viewer),
    ("GET", "/threads/{thread_id}/runs/{run_id}/stream", Viewer),
    ("POST", "/threads/{thread_id}/runs/{run_id}/cancel", Developer),
    ("POST", "/runs", Developer),
    ("POST", "/runs/stream", Developer),
    ("POST", "/runs/wait", Developer),
    ("POST", "/runs/batch", Developer),
    ("POST", "/runs/cancel", Operator),
    ("POST", "/runs/crons", Operator),
    ("POST", "/runs/crons/search", Viewer),
    ("POST", "/runs/crons/count", Viewer),
    ("GET", "/runs/crons/{cron_id}", Viewer),
    ("PATCH", "/runs/crons/{cron_id}", Operator),
    ("DELETE", "/runs/crons/{cron_id}", Operator),
    // So do calls of tools.
    ("POST", "/mcp", Viewer),
    ("GET", "/mcp", Viewer),
    ("DELETE", "/mcp", Viewer),
    // So do messages to agents.
    ("POST", "/a2a/{assistant_id}", Viewer),
    ("GET", "/a2a/{assistant_id}", Viewer),
    ("DELETE", "/a2a/{assistant_id}", Viewer),
    ("GET", "/a2a/{assistant_id}/.well-known/agent-card.json", Viewer),
    ("GET", "/a2a/{assistant_id}/.well-known/agent.json", Viewer),
    ("GET", "/.well-known/agent-card.json", Viewer),
    ("GET", "/.well-known/agent.json", Viewer),
    ("PUT", "/store/items", Developer),
    ("GET", "/store/items", Viewer),
    ("DELETE", "/store/items", Developer),
    ("POST", "/store/items/search", Viewer),
    ("POST", "/store/namespaces", Viewer),
];

/// The least role for an operation. One that the table does not have is for admins alone.
pub(crate) fn least(method: &Method, route: &str) -> Role {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let row = LEAST.iter().find(|(held, path, _)| *held == method.as_str() && *path == route);
    row.map_or(Role::Admin, |(.., role)| *role)
}

/// The least role for a route that is not the API's own: its method tells whether it only reads.
pub(crate) fn least_elsewhere(method: &Method) -> Role {
    match method.is_safe() {
        true => Viewer,
        false => Developer,
    }
}

/// Refuses a role that is less than the least; a caller without a role is bound by none.
pub(crate) fn check(role: Option<Role>, least: Role) -> ApiResult<()> {
    match role {
        Some(role) if role < least => {
            let detail = format!("This needs the role {least} or more; the API key has the role {role}");
            Err(ApiError::new(http::StatusCode::FORBIDDEN, detail))
        }
        _ => Ok(()),
    }
}
