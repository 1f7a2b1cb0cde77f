//! The programs of the platform: `langopen`, which runs everything in one process, and one program for each of its
//! parts.

#![forbid(unsafe_code)]

mod announce;
mod api_server;
mod app;
mod cli;
mod clock;
mod connections;
mod database;
mod error;
mod hosts;
mod import;
mod isolation;
mod keys;
mod log_fields;
mod logging;
mod manage;
mod metrics;
mod names;
mod private;
mod probes;
mod program;
mod runner;
mod secret_file;
mod serve;
mod settings;
mod tracing_export;
mod up;
mod worker;

use std::process::ExitCode;

use clap::Parser;

/// `langopen`: everything in one process, and the command line.
pub fn langopen() -> ExitCode {
    // In a sandbox, a graph host starts as this program and then executes the host program.
    if let Some(code) = langopen_runner::sandbox::launch() {
        return code;
    }
    let cli = cli::Cli::parse();
    program::run("langopen", cli.log_format, async {
        match cli.command {
            cli::Command::Up(options) => up::up(options).await,
            cli::Command::Import(options) => import::import(options).await,
            cli::Command::Keys(command) => manage::keys(command).await,
            cli::Command::Deployments(command) => manage::deployments(command).await,
        }
    })
}

/// `langopen-api-server`.
pub fn api_server() -> ExitCode {
    let options = settings::ApiServerOptions::parse();
    if program::prints_settings(&options.common) {
        return ExitCode::SUCCESS;
    }
    program::run("langopen-api-server", options.common.log_format, api_server::run(options))
}

/// `langopen-worker`.
pub fn worker() -> ExitCode {
    let options = settings::WorkerOptions::parse();
    if program::prints_settings(&options.common) {
        return ExitCode::SUCCESS;
    }
    program::run("langopen-worker", options.common.log_format, worker::run(options))
}

/// `langopen-runner`.
pub fn runner() -> ExitCode {
    if let Some(code) = langopen_runner::sandbox::launch() {
        return code;
    }
    let options = settings::RunnerOptions::parse();
    if program::prints_settings(&options.common) {
        return ExitCode::SUCCESS;
    }
    program::run("langopen-runner", options.common.log_format, runner::run(options))
}
