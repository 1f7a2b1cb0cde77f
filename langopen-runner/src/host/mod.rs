//! One graph host: its process, its connection, and what is in flight on it.

mod calls;
mod connection;
mod files;
mod handles;
mod handshake;
mod health;
mod logs;
mod owner;
mod process;
mod run;
mod said;
mod serve;
mod spans;
mod surroundings;
mod turns;
mod web;

pub use process::{HostError, LoadFailure};
pub use web::{WebAnswer, WebApi, WebApp, WebBody, WebCall, WebRoute};

pub(crate) use connection::{Attach, Host, write_frames};
pub(crate) use files::{node_name, unpack, unpack_node};
pub(crate) use handles::HandleRange;
pub(crate) use health::Status;
pub(crate) use logs::write as write_log;
pub(crate) use owner::{Owner, Relay};
pub(crate) use process::{HostSpec, Init, InitAuth, InitGraph, InitHttp, InitServer, InitUi, Offer, Runtime, start};
pub(crate) use run::handed_back;
pub(crate) use surroundings::Surroundings;
pub(crate) use web::HOSTS;
