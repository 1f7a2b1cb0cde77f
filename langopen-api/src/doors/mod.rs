//! The other ways in: the thread protocol, MCP, A2A, user interfaces, and the application's own web app.

pub(crate) mod a2a;
pub(crate) mod custom;
pub(crate) mod json_rpc;
pub(crate) mod mcp;
pub(crate) mod protocol;
pub(crate) mod ui;
