//! Runs a command with `DATABASE_URL` and `REDIS_URL` set. The services live as long as the command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use langopen_test_services::{DATABASE_URL, REDIS_URL, postgres_url, redis_url};
use tokio::process::Command;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: langopen-test-services COMMAND [ARGUMENT ...]");
        return ExitCode::from(2);
    };
    let (postgres, redis) = (postgres_url().await, redis_url().await);
    let mut command = Command::new(&program);
    let status = command.args(arguments).env(DATABASE_URL, postgres).env(REDIS_URL, redis).status().await;
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1).max(1)),
        Err(error) => {
            eprintln!("cannot run {}: {error}", program.to_string_lossy());
            ExitCode::from(2)
        }
    }
}
