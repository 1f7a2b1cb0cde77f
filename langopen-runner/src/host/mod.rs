//! One graph host: its process, its connection, and its work in flight.

mod budget;
mod calls;
mod child;
mod connection;
mod credit;
mod dispatch;
mod ending;
mod family;
mod files;
mod fitness;
mod handles;
mod handshake;
mod health;
mod launch;
mod logs;
mod message;
mod output;
mod owner;
mod process;
mod question;
mod run;
mod serve;
mod spans;
mod storage;
mod surroundings;
mod turns;
mod web;

pub use process::{HostError, LoadFailure};
pub use web::{WebAnswer, WebApi, WebApp, WebBody, WebCall, WebRoute};

pub(crate) use budget::Share;
pub(crate) use child::Process;
pub(crate) use connection::{Attach, Behind, Host, Outgoing, write_frames};
pub(crate) use credit::Credit;
pub(crate) use ending::{Aboard, Ending, Guilt, Lost};
pub(crate) use files::{node_name, unpack, unpack_node};
pub(crate) use handles::HandleRange;
pub(crate) use health::Status;
pub(crate) use logs::write as write_log;
pub(crate) use owner::{Owner, Relay};
pub(crate) use process::{HostSpec, Init, InitAuth, InitGraph, InitHttp, InitServer, InitUi, Offer, Runtime, start};
pub(crate) use question::Question;
pub(crate) use run::{CANCEL_GRACE, handed_back};
pub(crate) use surroundings::Surroundings;
pub(crate) use web::HOSTS;
