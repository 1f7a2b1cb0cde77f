//! The clients and their observations.

mod api;
mod clients;
mod history;
mod hooks;
mod sse;
mod stream;
mod submit;

pub(crate) use api::Api;
pub(crate) use clients::Client;
pub(crate) use history::{Entry, History, Kind, Strategy};
pub(crate) use hooks::Hooks;
pub(crate) use sse::SseEvent;
