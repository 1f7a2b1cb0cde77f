//! Why there is no service.

use std::io;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither named, nor in a container, nor installed.
    #[error("no {service}: set {variable}, start Docker, or install {program} (apt-get install {package})")]
    Missing {
        /// What was wanted.
        service: &'static str,
        /// The variable that would name one.
        variable: &'static str,
        /// The program that was not found.
        program: &'static str,
        /// Where Debian has it.
        package: &'static str,
    },
    /// A program could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// The program.
        program: String,
        /// What it printed.
        output: String,
    },
    /// A container did not start.
    #[error("no container for {service}: {source}")]
    Container {
        /// What was wanted.
        service: &'static str,
        /// Why.
        source: testcontainers::TestcontainersError,
    },
    /// A wrong value of `LANGOPEN_TEST_SERVICES`.
    #[error("LANGOPEN_TEST_SERVICES must be local or docker, not {0:?}")]
    Choice(String),
}
