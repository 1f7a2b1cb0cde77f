//! What can go wrong, said for the person who runs the benchmark.

/// A result of this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A request got no complete answer.
    #[error("{request}: {}", chain(.source))]
    Request { request: String, source: reqwest::Error },
    /// A request got an answer that says no.
    #[error("{request}: {status} {body}")]
    Status { request: String, status: u16, body: String },
    /// An answer is not what the Agent Server API promises.
    #[error("{request}: {problem}")]
    Answer { request: String, problem: String },
    /// A request took longer than the measurement may.
    #[error("no answer within {0:?} after the end of the measurement")]
    Late(std::time::Duration),
    /// A server did not start, or stopped.
    #[error("{name}: {problem}\n{log}")]
    Server { name: String, problem: String, log: String },
    /// The bare library could not be measured.
    #[error("the bare library: {0}")]
    Bare(String),
    /// An option makes no sense.
    #[error("{0}")]
    Option(String),
    /// A file or process could not be used.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// The platform's own parts failed.
    #[error(transparent)]
    Core(#[from] langopen_core::Error),
    /// A database could not be used.
    #[error("the database: {0}")]
    Database(#[source] sqlx::Error),
    /// A person stopped the benchmark.
    #[error("stopped")]
    Stopped,
}

/// The error with everything behind it: reqwest's own message leaves out the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
