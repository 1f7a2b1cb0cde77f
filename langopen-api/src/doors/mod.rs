//! The other protocols that clients may speak: the thread protocol, MCP and A2A; user interfaces; the application's own
//! web app.

pub(crate) mod a2a;
pub(crate) mod custom;
pub(crate) mod json_rpc;
pub(crate) mod mcp;
pub(crate) mod protocol;
pub(crate) mod ui;
