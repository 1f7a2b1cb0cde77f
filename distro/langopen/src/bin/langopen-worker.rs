//! Claims runs and has runners execute them.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    langopen_distro::worker()
}
