//! The answers to requests that no handler answers.

use std::any::Any;

use axum::extract::{Extension, OriginalUri};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri, header};

use crate::http::error::{Envelope, Failure};

/// Marks the answer to a request for an unknown path.
#[derive(Clone)]
pub(crate) struct UnknownPath;

/// Answers 404. If the path only has slashes too many at its end, it redirects to the path without them.
pub(crate) async fn unknown_path<E: Envelope>(OriginalUri(uri): OriginalUri) -> (Extension<UnknownPath>, Response) {
    (Extension(UnknownPath), no_path::<E>(&uri))
}

/// Answers 405.
pub(crate) async fn unknown_method<E: Envelope>() -> Response {
    E::from(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")).into_response()
}

fn no_path<E: Envelope>(uri: &Uri) -> Response {
    let Some(shorter) = without_slash(uri.path()) else {
        return E::from(Failure::new(StatusCode::NOT_FOUND, "Not Found")).into_response();
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{shorter}{query}"))]).into_response()
}

/// The path without its trailing slashes, if it has any and a redirect to it stays on this server.
///
/// Browsers read `//host` and `/\host` as another host, and some readers decode a path before they interpret it. So a
/// path with two slashes in a row, a backslash or a percent-encoded character gets no redirect. The API's own paths
/// contain none of these.
fn without_slash(path: &str) -> Option<&str> {
    let shorter = path.trim_end_matches('/');
    let plain = shorter.starts_with('/') && !shorter.contains("//") && !shorter.contains(['\\', '%']);
    (plain && shorter.len() < path.len()).then_some(shorter)
}

/// The answer to a request whose handler panicked.
pub(crate) fn panicked<E: Envelope>(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = message, "a handler panicked");
    E::from(Failure::internal()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_this_server() {
        for (path, expected) in [
            ("/threads/", Some("/threads")),
            ("/a2a/x///", Some("/a2a/x")),
            ("/threads", None),
            ("/", None),
            ("//evil.example/", None),
            ("/\\evil.example/", None),
            ("/\\/evil.example/", None),
            ("/%5Cevil.example/", None),
            ("/%5c%5cevil.example/", None),
            ("/%2Fevil.example/", None),
            ("/%2f%2fevil.example//", None),
            ("/%252fevil.example/", None),
            ("/%09/evil.example/", None),
            ("/a//evil.example/", None),
        ] {
            assert_eq!(without_slash(path), expected, "{path}");
        }
    }
}
