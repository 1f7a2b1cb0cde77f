//! The bodies of requests that create runs, and their checks.

mod check;
mod request;

pub(crate) use check::{both_given, check_request, nodes};
pub(crate) use request::{
    RunBatchCreate, RunCreate, RunCreateStateful, RunCreateStateless, RunCreateStreamingStateful,
    RunCreateStreamingStateless,
};
