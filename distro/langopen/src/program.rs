//! The parts that all programs share: the runtime, logging, and error messages.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::cli::LogFormat;
use crate::error::CommandError;
use crate::logging;
use crate::settings::{self, CommonOptions};

/// Runs a program until it ends.
pub(crate) fn run(
    name: &'static str,
    log_format: Option<LogFormat>,
    program: impl Future<Output = Result<(), CommandError>>,
) -> ExitCode {
    let undumpable = hide_from_children();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let traces = {
        let _entered = runtime.enter();
        logging::start(log_format, name)
    };
    if let Err(error) = undumpable {
        tracing::warn!(%error, "other processes of this user can read this one's memory and environment");
    }
    let outcome = runtime.block_on(program);
    if let Some(traces) = traces {
        traces.stop();
    }
    // Blocked background tasks must not delay the end of the program.
    runtime.shutdown_timeout(Duration::from_secs(1));
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

/// Prevents other processes of the same user, such as graph hosts, from reading this process's memory and environment
/// (`/proc/PID/environ`, `ptrace`). Root can still read them. This also disables core dumps.
fn hide_from_children() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Prints the settings and their documentation if `--print-settings` is given. Returns whether it did.
pub(crate) fn prints_settings(common: &CommonOptions) -> bool {
    if common.print_settings {
        print!("{}", settings::DEFAULT);
    }
    common.print_settings
}

/// Opens the listener, and returns its address.
pub(crate) async fn listen(host: IpAddr, port: u16) -> Result<(TcpListener, SocketAddr), CommandError> {
    let address = SocketAddr::new(host, port);
    let unusable = |source| CommandError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    Ok((listener, address))
}
