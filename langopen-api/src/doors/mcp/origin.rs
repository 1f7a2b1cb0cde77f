//! Refuses calls from foreign web pages. With DNS rebinding, a page's host name resolves to this machine. The page then
//! has the same origin as the server, and browsers let it call.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::{HeaderMap, header};

use crate::http::cors::Cors;
use crate::http::host::{host_of, is_loopback};

const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-forwarded-host"];

/// Whether the calling page may call; requests without `Origin` come from no page. Allowed are pages of this machine
/// and origins that the CORS settings name. Pages of the server's own host are allowed unless the connection is local.
/// A connection counts as local if its peer is loopback or unknown and no proxy header is present.
pub(super) fn may_call(cors: Option<&Cors>, headers: &HeaderMap, peer: Option<&ConnectInfo<SocketAddr>>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let text = origin.to_str().unwrap_or_default();
    let host = host_of(text).unwrap_or_default();
    if is_loopback(host) || cors.is_some_and(|cors| cors.names(origin)) {
        return true;
    }
    let proxied = FORWARDED.iter().any(|name| headers.contains_key(*name));
    let local = peer.is_none_or(|peer| peer.0.ip().is_loopback()) && !proxied;
    !local && !host.is_empty() && headers.get(header::HOST).is_some_and(|own| own.as_bytes() == host.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_and_named_ones_may_call() {
        let may = |origin: &str, host: &str, peer: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            headers.insert(header::HOST, host.parse().unwrap());
            let cors = Cors { allow_origins: vec!["*".into(), "https://named.example".into()], ..Cors::default() };
            may_call(Some(&cors), &headers, Some(&ConnectInfo(peer.parse().unwrap())))
        };
        let (here, there) = ("127.0.0.1:5", "192.0.2.1:5");
        assert!(may("http://localhost:6274", "localhost:2024", here) && may("http://[::1]", "[::1]:2024", here));
        assert!(may("https://named.example", "localhost:2024", here));
        assert!(
            !may("http://evil.example:2024", "evil.example:2024", here),
            "its host name resolves to this machine, but the page is foreign"
        );
        assert!(!may("https://evil.example", "localhost:2024", here));
        assert!(may("https://agents.example", "agents.example", there));
        assert!(may_call(None, &HeaderMap::new(), None), "the caller is not a page");
        let mut unknown = HeaderMap::new();
        unknown.insert(header::ORIGIN, "http://evil.example:2024".parse().unwrap());
        unknown.insert(header::HOST, "evil.example:2024".parse().unwrap());
        assert!(!may_call(None, &unknown, None), "its host name may resolve to this machine");
        unknown.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
        assert!(may_call(None, &unknown, None), "the request came through a proxy");
    }
}
