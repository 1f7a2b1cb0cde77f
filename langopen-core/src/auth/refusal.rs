use std::fmt;

use crate::error::{Error, ErrorKind};

/// The exact answer to a refused caller. An implementor of [`Auth`](super::Auth) returns it as an [`Error`] to choose
/// status, message and headers.
///
/// ```
/// use langopen_core::auth::Refusal;
/// use langopen_core::{Error, ErrorKind};
///
/// let refusal = Refusal::new(401, "Token expired").header("www-authenticate", "Bearer");
/// let error = Error::from(refusal);
/// assert_eq!(error.kind(), ErrorKind::Unauthenticated);
/// assert_eq!(Refusal::of(&error).unwrap().status, 401);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// For the client.
    pub detail: String,
    /// Names with values.
    pub headers: Vec<(String, String)>,
}

impl Refusal {
    /// A refusal without headers.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The refusal that an error carries.
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with status {}", self.status)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.status {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            400..=499 => ErrorKind::Invalid,
            503 => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, "auth.refuse", refusal.detail.clone()).with_source(refusal)
    }
}
