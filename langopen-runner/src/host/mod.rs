//! One graph host: its process, its connection, and what is in flight on it.

mod calls;
mod connection;
mod files;
mod handshake;
mod logs;
mod process;
mod run;
mod serve;

pub use process::{HostError, LoadFailure};

pub(crate) use connection::Host;
pub(crate) use files::unpack;
pub(crate) use process::{HostSpec, Init, InitAuth, InitGraph, InitServer, start};
