//! Refuses web pages that may not call a server of this machine.
//!
//! A server on a loopback address without a login trusts every caller. A browser on the same machine lets any page
//! reach it, in two ways. A page of another origin can send a request that needs no permission. Or the page's host name
//! resolves to this machine (DNS rebinding), so that the browser takes the server for the page's own. `Origin` reveals
//! the first, `Host` the second.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use langopen_core::auth::Credentials;

use crate::gateway::Reached;
use crate::http::access::Trusted;
use crate::http::cors::Cors;
use crate::http::error::{ApiError, ApiResult};
use crate::server::App;

/// Refuses pages of other origins and host names that are not this server's, while the server admits requests without
/// credentials. A request without an `Origin` comes from no page of another origin.
pub(crate) async fn refuse_foreign_pages(State(app): State<App>, request: Request, next: Next) -> Response {
    // A request from within the platform does not come from a page.
    if request.extensions().get::<Trusted>().is_some() {
        return next.run(request).await;
    }
    let named = request.extensions().get::<Reached>().is_some_and(Reached::is_by_host);
    let refusal = match foreign(app.settings.cors.as_ref(), request.uri(), request.headers(), named) {
        Some(refusal) => refusal,
        None => return next.run(request).await,
    };
    let credentials = Credentials {
        tenant: request.extensions().get::<Reached>().map(|reached| reached.tenant.clone()),
        ..Credentials::default()
    };
    match app.auth.authenticate(&credentials).await {
        // The server has a login, so a page needs credentials that only its user has.
        Err(_) => next.run(request).await,
        Ok(_) => {
            tracing::warn!(refused = refusal, "a page of another origin was refused");
            ApiError::new(StatusCode::FORBIDDEN, refusal).into_response()
        }
    }
}

/// Refuses a body that a page of another origin could send without a preflight. Browsers send a preflight for
/// `application/json`.
pub(crate) fn check_content_type(headers: &HeaderMap) -> ApiResult<()> {
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
        false => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Pages of other origins must send bodies with content-type application/json",
        )),
    }
}

/// The reason why the request may come from a foreign page, if it may. `named` is true if its host belongs to a
/// deployment.
fn foreign(cors: Option<&Cors>, uri: &Uri, headers: &HeaderMap, named: bool) -> Option<String> {
    let hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    let hosts: Vec<_> = uri.authority().map(http::uri::Authority::as_str).into_iter().chain(hosts).collect();
    for host in &hosts {
        if !named && !is_loopback(host) && !names_host(cors, host) {
            return Some(format!(
                "The host {host:?} is not this server's. The server has no login and is for this machine only: use localhost, name the \
                 host's origin in the cors rules (http.cors.allow_origins), or set up a login"
            ));
        }
    }
    for origin in headers.get_all(header::ORIGIN) {
        let text = origin.to_str().unwrap_or("?");
        let host = host_of(text).unwrap_or_default();
        let own = !host.is_empty() && hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        if !own && !is_loopback(host) && !cors.is_some_and(|cors| cors.names(origin)) {
            return Some(format!(
                "Pages of the origin {text:?} may not call this server. The server has no login and is for this machine only: name the origin in \
                 the cors rules (http.cors.allow_origins), or set up a login"
            ));
        }
    }
    None
}

/// The host and port of an origin.
fn host_of(origin: &str) -> Option<&str> {
    let (scheme, host) = origin.split_once("://")?;
    ["http", "https"].contains(&scheme).then_some(host)
}

/// Whether the rules name an origin with this host.
fn names_host(cors: Option<&Cors>, host: &str) -> bool {
    let Some(cors) = cors else { return false };
    let names = [host, without_port(host)];
    let origins = names.iter().flat_map(|host| [format!("https://{host}"), format!("http://{host}")]);
    origins.filter_map(|origin| HeaderValue::try_from(origin).ok()).any(|origin| cors.names(&origin))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a host, with or without its port, is a name or address of this machine that no name server can redirect.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback());
    }
    name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors() -> Cors {
        Cors { allow_origins: vec!["*".into(), "https://app.example".into()], ..Cors::default() }
    }

    fn is_foreign(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        foreign(Some(&cors()), &Uri::from_static("/threads"), &headers, false).is_some()
    }

    #[test]
    fn only_pages_of_this_machine_and_named_ones_may_call() {
        for host in [
            "localhost:2024",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1:2024",
            "127.1.2.3",
            "[::1]:2024",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(!is_foreign(host, None), "{host}");
            for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:1", "https://app.example"] {
                assert!(!is_foreign(host, Some(origin)), "{host} {origin}");
            }
            for origin in [
                "https://evil.example",
                "http://evil.example:2024",
                "https://app.example.evil.example",
                "http://app.example",
                "http://localhost.evil.example",
                "http://127.0.0.1.evil.example",
                "http://evil.example/localhost",
                "http://localhost@evil.example",
                "http://evil.example:localhost",
                "http://[::2]",
                "http://192.168.0.1",
                "null",
                "",
                "file://",
                "chrome-extension://localhost",
                "localhost",
            ] {
                assert!(is_foreign(host, Some(origin)), "{host} {origin}");
            }
        }
        for host in
            ["evil.example:2024", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "10.0.0.1", "", "?"]
        {
            assert!(is_foreign(host, None), "{host}");
            assert!(is_foreign(host, Some(&format!("http://{host}"))), "{host}: its name was made to lead here");
        }
        assert!(!is_foreign("app.example", None) && !is_foreign("app.example:443", Some("https://app.example")));
        let absolute = Uri::from_static("http://evil.example/threads");
        assert!(foreign(None, &absolute, &HeaderMap::new(), false).is_some());
        assert!(foreign(None, &absolute, &HeaderMap::new(), true).is_none(), "a deployment's host");
        assert!(foreign(None, &Uri::from_static("/"), &HeaderMap::new(), false).is_none(), "no browser");
    }

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
