//! From the body of a request to a run that the queue can take.

mod build;
mod check;
mod config;
mod kwargs;
mod request;

pub(crate) use build::{Place, Plan, check_request};
pub(crate) use config::{mirror, without_reserved_metadata};
pub(crate) use request::{
    RunBatchCreate, RunCreateStateful, RunCreateStateless, RunCreateStreamingStateful, RunCreateStreamingStateless,
    RunRequest,
};
