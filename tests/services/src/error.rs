//! The reasons why a service is not available.

use std::io;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a service is not available.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment names no service, Docker does not answer, and the program is not installed.
    #[error("no {service}: set {variable}, start Docker, or install {program} (apt-get install {package})")]
    Missing {
        /// The service.
        service: &'static str,
        /// The environment variable that can name a service.
        variable: &'static str,
        /// The program that was not found.
        program: &'static str,
        /// The program's Debian package.
        package: &'static str,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// The program.
        program: String,
        /// The program's output.
        output: String,
    },
    /// A container did not start.
    #[error("no container for {service}: {source}")]
    Container {
        /// The service.
        service: &'static str,
        /// The cause.
        source: testcontainers::TestcontainersError,
    },
    /// `LANGOPEN_TEST_SERVICES` has an invalid value.
    #[error("LANGOPEN_TEST_SERVICES must be local or docker, not {0:?}")]
    Choice(String),
}
