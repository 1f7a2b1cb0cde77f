//! LangOpen in one process, and its command line.

#![forbid(unsafe_code)]

mod cli;
mod connections;
mod error;
mod keys;
mod logging;
mod metrics;
mod tracing_export;
mod up;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let traces = {
        let _entered = runtime.enter();
        logging::start(cli.log_format, "langopen")
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            cli::Command::Up(options) => up::up(options).await,
            cli::Command::Keys(cli::KeysCommand::New(options)) => keys::new(options),
        }
    });
    if let Some(traces) = traces {
        traces.stop();
    }
    // What still blocks in the background must not keep a finished command from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if logging::is_json() {
                tracing::error!(hint = error.remedy(), "{error}");
                return ExitCode::FAILURE;
            }
            eprintln!("\nerror: {error}");
            if let Some(remedy) = error.remedy() {
                eprintln!("  hint: {remedy}");
            }
            ExitCode::FAILURE
        }
    }
}
