//! Starts the processes of graph hosts, so that none of them outlives this process.
//!
//! Each host leads its own session: a Ctrl-C in the terminal does not reach it, and one signal to the group reaches all
//! its processes. Linux kills the host when the thread that started it ends. A runtime ends its threads at any time, so
//! one thread that never ends starts all hosts.
#![expect(
    unsafe_code,
    reason = "`pre_exec` is the one way to run two system calls in the child before the program begins"
)]

use std::io;
use std::sync::{LazyLock, mpsc};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Launch {
    command: Command,
    /// The runtime that watches the child.
    runtime: Handle,
    launched: oneshot::Sender<io::Result<Child>>,
}

/// The channel to the thread that starts hosts; an error if the thread itself cannot start.
static LAUNCHER: LazyLock<io::Result<mpsc::Sender<Launch>>> = LazyLock::new(|| {
    let (launches, waiting) = mpsc::channel::<Launch>();
    let work = move || {
        for Launch { mut command, runtime, launched } in waiting {
            let _entered = runtime.enter();
            // A caller that stopped waiting drops the child, which kills it.
            let _ = launched.send(command.spawn());
        }
    };
    std::thread::Builder::new().name("graph-host-launcher".to_owned()).spawn(work)?;
    Ok(launches)
});

/// Starts a host's process as the leader of its own session. Needs a runtime.
pub(super) async fn launch(mut command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that starts graph hosts is gone");
    let launcher = LAUNCHER.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
    // SAFETY: the closure runs in the child between fork and exec, where only async-signal-safe calls are allowed. It
    // makes two system calls and a comparison of numbers; it allocates nothing, takes no lock, and its only capture is
    // a number.
    unsafe { command.pre_exec(lead_a_session(std::process::id())) };
    let (launched, child) = oneshot::channel();
    launcher.send(Launch { command, runtime: Handle::current(), launched }).map_err(|_| gone())?;
    child.await.map_err(|_| gone())?
}

/// The steps of the child before it executes the host.
fn lead_a_session(parent: u32) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    move || {
        rustix::process::setsid()?;
        #[cfg(target_os = "linux")]
        {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // If the parent died before the line above, no signal would arrive.
            let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
            if u32::try_from(now) != Ok(parent) {
                return Err(io::Error::from(io::ErrorKind::NotFound));
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = parent;
        Ok(())
    }
}
