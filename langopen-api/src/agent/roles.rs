//! The minimum role of each operation. This table is the only source.

use http::Method;
use langopen_core::auth::Role::{self, Developer, Operator, Viewer};

/// Method, path and minimum role of every operation that authenticates its caller.
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
    // Commands that do more than read require a higher role themselves.
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
    // Tool calls require a higher role themselves.
    ("POST", "/mcp", Viewer),
    ("GET", "/mcp", Viewer),
    ("DELETE", "/mcp", Viewer),
    // Messages to agents require a higher role themselves.
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

/// The minimum role for an operation. An operation that the table lacks is for admins only.
pub(crate) fn least(method: &Method, route: &str) -> Role {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let row = LEAST.iter().find(|(held, path, _)| *held == method.as_str() && *path == route);
    row.map_or(Role::Admin, |(.., role)| *role)
}

/// The minimum role for a route outside the API. A safe method (`GET`, `HEAD`, `OPTIONS`, `TRACE`) needs a viewer, any
/// other a developer.
pub(crate) fn least_elsewhere(method: &Method) -> Role {
    match method.is_safe() {
        true => Viewer,
        false => Developer,
    }
}
