//! Claims runs and sends them to runners.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    langopen_distro::worker()
}
