//! Refuses web pages that may not call a server of this machine.
//!
//! A server on a loopback address without a login trusts every caller. A browser on the same machine lets any page
//! reach it, in two ways. A page of another origin can send a request that needs no permission. Or the page's host name
//! resolves to this machine (DNS rebinding), so that the browser takes the server for the page's own. `Origin` reveals
//! the first, `Host` the second.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use langopen_core::auth::{Auth, Credentials};

use crate::http::access::Trusted;
use crate::http::cors::Cors;
use crate::http::error::{Envelope, Failure};
use crate::http::host::{host_of, is_loopback, without_port};
use crate::http::reached::Reached;

/// What decides which pages may call.
pub(crate) struct PageRules {
    /// The rules that name origins.
    pub(crate) cors: Option<Cors>,
    /// Pages are refused only while it admits requests without credentials.
    pub(crate) auth: Arc<dyn Auth>,
}

/// Refuses pages of other origins and host names that are not this server's, while the server admits requests without
/// credentials. A request without an `Origin` comes from no page of another origin.
/// `E` is the API's error.
pub(crate) async fn refuse_foreign_pages<E: Envelope>(
    State(rules): State<Arc<PageRules>>,
    request: Request,
    next: Next,
) -> Response {
    // A request from within the platform does not come from a page.
    if request.extensions().get::<Trusted>().is_some() {
        return next.run(request).await;
    }
    let named = request.extensions().get::<Reached>().is_some_and(Reached::is_by_host);
    let refusal = match foreign(rules.cors.as_ref(), request.uri(), request.headers(), named) {
        Some(refusal) => refusal,
        None => return next.run(request).await,
    };
    let credentials = Credentials {
        tenant: request.extensions().get::<Reached>().map(|reached| reached.tenant.clone()),
        ..Credentials::default()
    };
    match rules.auth.authenticate(&credentials).await {
        // The server has a login, so a page needs credentials that only its user has.
        Err(_) => next.run(request).await,
        Ok(_) => {
            tracing::warn!(refused = refusal, "a page of another origin was refused");
            E::from(Failure::new(StatusCode::FORBIDDEN, refusal)).into_response()
        }
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

/// Whether the rules name an origin with this host.
fn names_host(cors: Option<&Cors>, host: &str) -> bool {
    let Some(cors) = cors else { return false };
    let names = [host, without_port(host)];
    let origins = names.iter().flat_map(|host| [format!("https://{host}"), format!("http://{host}")]);
    origins.filter_map(|origin| HeaderValue::try_from(origin).ok()).any(|origin| cors.names(&origin))
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
}
