//! The rules that all backends share, written over the types of the model.

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
