//! The launcher: it restricts itself, then becomes the host.

use std::ffi::OsString;
use std::process::ExitCode;

use super::{LAUNCHER, Rules};

/// The exit status of a launcher that fails. Shells use it for programs that cannot be executed.
const CANNOT: u8 = 126;

/// Does a launcher's work, if this process was started as one. Call it first in `main`, before any thread starts.
///
/// In every other process, it returns `None`. A launcher that succeeds does not return, because it has become the host.
/// One that fails returns the exit status for `main`.
#[must_use]
pub fn launch() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()?.to_str() != Some(LAUNCHER) {
        return None;
    }
    let why = become_host(arguments);
    eprintln!("error: cannot apply the sandbox: {why}");
    eprintln!("  hint: --sandbox off starts graph hosts without it");
    Some(ExitCode::from(CANNOT))
}

/// Returns only if it fails, with the reason.
fn become_host(mut arguments: impl Iterator<Item = OsString>) -> String {
    let rules = arguments.next().and_then(|rules| serde_json::from_str::<Rules>(rules.to_str()?).ok());
    let (Some(rules), Some(program)) = (rules, arguments.next()) else {
        return "its rules cannot be read".to_owned();
    };
    if let Err(why) = restrict(&rules) {
        return why;
    }
    let mut command = std::process::Command::new(&program);
    command.args(arguments);
    #[cfg(unix)]
    return format!("cannot execute {}: {}", program.display(), std::os::unix::process::CommandExt::exec(&mut command));
    #[cfg(not(unix))]
    return format!("cannot execute {} on this system", program.display());
}

#[cfg(not(target_os = "linux"))]
fn restrict(_: &Rules) -> Result<(), String> {
    Err("this system has no Landlock".to_owned())
}

#[cfg(target_os = "linux")]
fn restrict(rules: &Rules) -> Result<(), String> {
    use super::{namespace, rules as landlock};

    let here = std::env::current_dir().unwrap_or_default();
    let inside = rules.hidden.iter().any(|hidden| hidden.starts_with(&here));
    let hidden = namespace::hide(rules, inside);
    drop_capabilities();
    if hidden {
        // Landlock then forbids changes to the mounts, and blocks access to other processes.
        return landlock::apply(&Rules::default());
    }
    if inside {
        let here = here.display();
        eprintln!(
            "sandbox: graphs cannot open new files directly in {here}, as the data folder lies below it and this system \
             allows no mount namespace. Put the data folder elsewhere (--data), or start with --sandbox off."
        );
    }
    landlock::apply(rules)
}

/// Drops the capabilities that let root read the memory of other processes in spite of Landlock. The host has none of
/// them once it is executed.
#[cfg(target_os = "linux")]
fn drop_capabilities() {
    use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

    for capability in [CapabilitySet::SYS_ADMIN, CapabilitySet::SYS_PTRACE, CapabilitySet::PERFMON] {
        // It fails for a user without capabilities.
        let _ = remove_capability_from_bounding_set(capability);
    }
}
