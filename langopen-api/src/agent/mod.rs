//! The Agent Server API, with a folder for each resource.

pub(crate) mod assistants;
pub(crate) mod crons;
pub(crate) mod meta;
pub(crate) mod run_body;
pub(crate) mod runs;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod threads;
pub(crate) mod wire;
