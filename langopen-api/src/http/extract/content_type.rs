//! The content types of bodies.

use http::{HeaderMap, StatusCode, header};

use crate::http::error::{Failure, Result};
use crate::http::host::host_of;

/// Refuses a body that a page of another origin could send without a preflight. Browsers send a preflight for
/// `application/json`.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<()> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = origin.to_str().ok().and_then(host_of);
    if own.is_some_and(|own| host.is_some_and(|host| host.eq_ignore_ascii_case(own))) {
        return Ok(());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json") {
        true => Ok(()),
        false => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Pages of other origins must send bodies with content-type application/json",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_origins_send_json_or_nothing() {
        let check = |origin: Option<&str>, kind: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:2024".parse().unwrap());
            for (name, value) in [(header::ORIGIN, origin), (header::CONTENT_TYPE, kind)] {
                value.map(|value| headers.insert(name, value.parse().unwrap()));
            }
            check_content_type(&headers).is_ok()
        };
        let page = Some("http://localhost:3000");
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
            assert!(check(page, Some(kind)), "{kind}");
        }
        for kind in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("text/plain;application/json")]
        {
            assert!(!check(page, kind), "{kind:?}");
            assert!(check(None, kind) && check(Some("http://localhost:2024"), kind), "{kind:?}");
        }
    }
}
