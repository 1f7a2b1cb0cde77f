//! The scheme with which the client reached the server through a proxy.

use http::HeaderMap;

/// `http` or `https`, from the first value of `X-Forwarded-Proto`; `None` if the header is absent or has another value.
pub(crate) fn forwarded_scheme(headers: &HeaderMap) -> Option<&'static str> {
    let given = headers.get("x-forwarded-proto")?.to_str().ok()?.split(',').next()?.trim();
    ["http", "https"].into_iter().find(|scheme| *scheme == given)
}
