//! One graph host: its process, its connection, and what is in flight on it.

mod calls;
mod connection;
mod files;
mod handshake;
mod logs;
mod process;
mod run;
mod serve;
mod spans;
mod web;

pub use process::{HostError, LoadFailure};
pub use web::{WebAnswer, WebApi, WebApp, WebBody, WebCall, WebRoute};

pub(crate) use connection::Host;
pub(crate) use files::unpack;
pub(crate) use process::{HostSpec, Init, InitAuth, InitGraph, InitHttp, InitServer, start};
