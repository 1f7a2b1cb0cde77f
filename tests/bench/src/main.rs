//! Benchmark of LangOpen: a load generator for any server that speaks the Agent Server API (`load`), and a comparison
//! of LangOpen with a peer and with the bare library in one run (`compare`). See the README beside this crate.

#![forbid(unsafe_code)]

mod app;
mod bar;
mod bare;
mod cli;
mod client;
mod cluster;
mod columns;
mod compare;
mod doors;
mod error;
mod load;
mod process;
mod program;
mod quantiles;
mod report;
mod server;
mod sse;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command};
use crate::error::{Error, Result};

// One thread: the generator must leave the other cores to the server that it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let work = async {
        match Cli::parse().command {
            Command::Load(options) => load::command(options).await,
            Command::Compare(options) => compare::command(options).await,
            Command::Cluster(options) => cluster::command(options).await,
            Command::Doors(options) => doors::command(options).await,
            Command::ServeEmpty(options) => cluster::serve_empty(options).await,
        }
    };
    // Dropping the work kills the processes that it started.
    let result = tokio::select! {
        result = work => result,
        stop = stopped() => stop.and(Err(Error::Stopped)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("langopen-bench: {error}");
        ExitCode::from(2)
    })
}

/// Ends on Ctrl-C or SIGTERM.
async fn stopped() -> Result<()> {
    let failed = |source| Error::Io { what: "cannot listen for signals".into(), source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        ctrl_c = tokio::signal::ctrl_c() => ctrl_c.map_err(failed),
        _ = terminate.recv() => Ok(()),
    }
}
