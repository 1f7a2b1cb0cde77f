//! Serves the Agent Server API.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    langopen_distro::api_server()
}
