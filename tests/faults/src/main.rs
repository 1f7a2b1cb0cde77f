//! Fault injection: starts real processes, creates a load of runs, makes faults by a seed, and checks the promises that
//! must hold. Each graph records its steps in a file. See the README beside this crate.

#![forbid(unsafe_code)]

mod check;
mod cli;
mod error;
mod faults;
mod load;
mod platform;
mod process;
mod report;
mod services;
mod trial;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Cli;
use crate::error::{Error, Result, io};
use crate::trial::Trial;

// A single thread, so that the platform under test has the other cores.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Dropping the trials ends all processes that they started.
    let result = tokio::select! {
        result = trials(&cli) => result,
        stop = stopped() => stop.and(Err(Error::Stopped)),
    };
    match result {
        Ok(trials) if trials.iter().all(|trial| trial.violations.is_empty()) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("langopen-faults: {error}");
            ExitCode::from(2)
        }
    }
}

async fn trials(cli: &Cli) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    loop {
        let done = trials.len() as u64;
        let more = cli.until_faults.is_some_and(|wanted| report::faults(&trials) < wanted);
        if done >= cli.trials && !more {
            break;
        }
        let trial = trial(cli, cli.seed + done).await?;
        println!("{}", report::lines(&trial));
        trials.push(trial);
    }
    println!("{}", report::text(&trials));
    if let Some(path) = &cli.json {
        std::fs::write(path, report::as_json(&trials).to_string()).map_err(io(format!("{}", path.display())))?;
    }
    Ok(trials)
}

async fn trial(cli: &Cli, seed: u64) -> Result<Trial> {
    if let Some(kept) = &cli.keep {
        let folder = std::path::absolute(kept.join(format!("seed-{seed}"))).map_err(io("the folder to keep"))?;
        std::fs::create_dir_all(&folder).map_err(io(format!("{}", folder.display())))?;
        return trial::run(cli, seed, &folder).await;
    }
    let folder = tempfile::Builder::new().prefix("langopen-faults-").tempdir().map_err(io("a temporary folder"))?;
    open_to_all(folder.path())?;
    trial::run(cli, seed, folder.path()).await
}

/// Lets other users open the folder. Postgres does not run as root, but needs access to its data.
fn open_to_all(folder: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).map_err(io("chmod"))
}

/// Waits for Ctrl-C or SIGTERM.
async fn stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(io("cannot listen for signals"))?;
    tokio::select! {
        ctrl_c = tokio::signal::ctrl_c() => ctrl_c.map_err(io("cannot listen for signals")),
        _ = terminate.recv() => Ok(()),
    }
}
