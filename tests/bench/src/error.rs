//! The benchmark's errors, with messages for its user.

/// A result of this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A request got no complete answer.
    #[error("{request}: {}", chain(.source))]
    Request { request: String, source: reqwest::Error },
    /// The server refused a request or failed it.
    #[error("{request}: {status} {body}")]
    Status { request: String, status: u16, body: String },
    /// An answer does not conform to the Agent Server API.
    #[error("{request}: {problem}")]
    Answer { request: String, problem: String },
    /// A request was not answered in time after the end of the measurement.
    #[error("no answer within {0:?} after the end of the measurement")]
    Late(std::time::Duration),
    /// A server did not start, or stopped.
    #[error("{name}: {problem}\n{log}")]
    Server { name: String, problem: String, log: String },
    /// The bare library could not be measured.
    #[error("the bare library: {0}")]
    Bare(String),
    /// An option is invalid, or a part of the measurement cannot run.
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
    /// The user stopped the benchmark.
    #[error("stopped")]
    Stopped,
}

/// The error's message with all its causes, which reqwest's own message leaves out.
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
