//! How the client reached the server, where a proxy stands between.

use http::HeaderMap;

/// `http` or `https`, as the outermost proxy says; `None` where none says.
pub(crate) fn forwarded_scheme(headers: &HeaderMap) -> Option<&'static str> {
    let told = headers.get("x-forwarded-proto")?.to_str().ok()?.split(',').next()?.trim();
    ["http", "https"].into_iter().find(|scheme| *scheme == told)
}
