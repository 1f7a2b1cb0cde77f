//! Why a trial could not be made.

/// A result of this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a trial could not be made. What a trial finds is no error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file, socket or process could not be used.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// A program is not installed.
    #[error("{program} is not there: {hint}")]
    Missing { program: String, hint: &'static str },
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed { program: String, output: String },
    /// The platform did not come up, before anything was broken.
    #[error("{name} does not serve: {problem}\n{log}")]
    Start { name: String, problem: String, log: String },
    /// The HTTP client could not be made.
    #[error("the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// A fault that does not exist.
    #[error("there is no fault {0:?}; there are: {1}")]
    Fault(String, String),
    /// A person stopped it.
    #[error("stopped")]
    Stopped,
}

/// Says what could not be used.
pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    |source| Error::Io { what, source }
}
