//! The error that every trait of this crate returns.

use std::error::Error as StdError;
use std::fmt;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of a failure. Callers decide by kind; people read the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing that was named does not exist in this tenant, or its filter hides it.
    NotFound,
    /// A thing with this id exists already.
    AlreadyExists,
    /// The state of the thing forbids the operation, e.g. a busy thread.
    Conflict,
    /// The input is wrong; the message names the field.
    Invalid,
    /// The graph refused the input, e.g. an unknown node in a state update.
    Graph,
    /// This backend or executor cannot do that.
    Unsupported,
    /// No or bad credentials.
    Unauthenticated,
    /// Good credentials, not enough rights.
    Forbidden,
    /// The lease of a run was lost: another worker owns it, or it was deleted.
    LeaseLost,
    /// A limit of the deployment leaves no room now.
    LimitReached,
    /// A required part does not answer now.
    Unavailable,
    /// A defect in the platform, or damaged data.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without any change.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::LimitReached)
    }

    /// Stable lower-case name, for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Graph => "graph",
            Self::Unsupported => "unsupported",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::LeaseLost => "lease_lost",
            Self::LimitReached => "limit_reached",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// A failure: its kind, the operation that failed, a message for people, and its source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure without an underlying cause.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into(), source: None }
    }

    /// The named thing does not exist.
    pub fn not_found(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, operation, message)
    }

    /// The input is wrong.
    pub fn invalid(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, operation, message)
    }

    /// The thing's state forbids the operation.
    pub fn conflict(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, operation, message)
    }

    /// A defect or damaged data.
    pub fn internal(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, operation, message)
    }

    /// A required part does not answer.
    pub fn unavailable(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, operation, message)
    }

    /// Adds the underlying cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind, to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The trait operation that failed, e.g. `queue.claim`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What failed, in words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
