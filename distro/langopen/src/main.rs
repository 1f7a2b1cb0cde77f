//! LangOpen in one process, and its command line.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    langopen_distro::langopen()
}
