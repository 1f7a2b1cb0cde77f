//! What every backend does alike, written once over the model's types.

pub(crate) mod api_key;
pub(crate) mod assistant;
pub(crate) mod cron;
pub(crate) mod delivery;
pub(crate) mod deployment;
pub(crate) mod documents;
pub(crate) mod history;
pub(crate) mod namespace;
pub(crate) mod run;
pub(crate) mod similarity;
pub(crate) mod thread;
