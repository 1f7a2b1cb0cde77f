//! What every backend does alike, written once over the model's types.

pub mod api_key;
pub mod assistant;
pub mod cron;
pub mod delivery;
pub mod deployment;
pub mod documents;
pub mod history;
pub mod namespace;
pub mod run;
pub mod similarity;
pub mod thread;
