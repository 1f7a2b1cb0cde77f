//! Runs the graphs of one deployment for workers and API servers.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    langopen_distro::runner()
}
