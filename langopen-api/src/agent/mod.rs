//! The Agent Server API, with a folder for each resource.

pub(crate) mod app;
pub(crate) mod assistants;
mod authenticator;
pub(crate) mod crons;
pub(crate) mod error;
pub(crate) mod forwarded;
pub(crate) mod meta;
pub(crate) mod metrics;
pub(crate) mod path;
pub(crate) mod roles;
pub(crate) mod run_body;
pub(crate) mod runs;
pub(crate) mod state;
pub(crate) mod store;
mod studio;
pub(crate) mod thread;
pub(crate) mod threads;
mod user;
pub(crate) mod wire;

pub(crate) use app::App;
pub use authenticator::{Authenticator, require_auth};
pub(crate) use forwarded::Forwarded;
pub(crate) use path::{AssistantIdText, AssistantPath, CronPath, NewRunPath, RunPath, ThreadPath};
pub use studio::StudioAuth;
pub(crate) use user::show_user;
