//! Why a trial could not run.

/// A result of this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a trial could not run. Broken promises are results, not errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file, socket or process could not be used.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// A program is not installed.
    #[error("{program} is not installed: {hint}")]
    Missing { program: String, hint: &'static str },
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed { program: String, output: String },
    /// The platform did not start, before any fault was made.
    #[error("{name} does not start: {problem}\n{log}")]
    Start { name: String, problem: String, log: String },
    /// The HTTP client could not be created.
    #[error("the HTTP client cannot be created: {0}")]
    Client(#[from] reqwest::Error),
    /// The name of an unknown fault.
    #[error("the fault {0:?} is unknown; the known faults are: {1}")]
    Fault(String, String),
    /// A signal stopped the program.
    #[error("stopped")]
    Stopped,
}

/// Names the resource that could not be used.
pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    |source| Error::Io { what, source }
}
