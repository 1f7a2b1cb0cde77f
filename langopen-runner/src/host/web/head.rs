//! The heads of requests and responses as JSON.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use langopen_core::{Error, JsonMap, Result};
use serde::{Deserialize, Serialize};

use super::WebCall;

/// Headers that apply to one connection only, so they are not passed on.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// HTTP_REQUEST, to the host.
#[derive(Serialize)]
pub(super) struct ToApp<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    http_version: &'static str,
    headers: Vec<(String, String)>,
    client: Option<(String, u16)>,
    root_path: &'a str,
    body: bool,
    unknown: bool,
    authenticate: bool,
    user: Option<&'a JsonMap>,
}

impl<'a> ToApp<'a> {
    pub(super) fn new(call: &'a WebCall) -> Self {
        let WebCall { request, has_body, unknown, authenticate, user, root_path, client, tenant: _ } = call;
        let mut headers = texts(request.headers());
        if let (None, Some(authority)) = (request.headers().get("host"), request.uri().authority()) {
            headers.push(("host".to_owned(), authority.to_string()));
        }
        Self {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            http_version: if request.version() == Version::HTTP_2 { "2" } else { "1.1" },
            headers,
            client: client.map(|client| (client.ip().to_string(), client.port())),
            root_path,
            body: *has_body,
            unknown: *unknown,
            authenticate: *authenticate,
            user: user.as_ref(),
        }
    }
}

/// HTTP_REQUEST, from the host.
#[derive(Deserialize)]
pub(super) struct FromApp {
    method: String,
    path: String,
    #[serde(default)]
    query: String,
    headers: Vec<(String, String)>,
    /// The exchange whose request this one continues; `None` for a request of the application itself.
    #[serde(default)]
    pub(super) parent: Option<u32>,
    /// The run that a request of the application itself belongs to.
    #[serde(default)]
    pub(super) run: Option<u32>,
    /// The exchange in which the application itself makes the request.
    #[serde(default)]
    pub(super) within: Option<u32>,
    #[serde(default)]
    pub(super) body: bool,
    /// Whether the API only authenticates the caller.
    #[serde(default)]
    pub(super) authenticate: bool,
}

impl FromApp {
    pub(super) fn request(&self) -> Result<Request<()>> {
        let wrong = |what: &str| Error::invalid("host.web", format!("the application's request has {what}"));
        let target = if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) };
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).map_err(|_| wrong("no such method"))?;
        *request.uri_mut() = Uri::try_from(target).map_err(|_| wrong("a path that is none"))?;
        *request.headers_mut() = read(&self.headers).ok_or_else(|| wrong("a header that is none"))?;
        Ok(request)
    }
}

/// HTTP_RESPONSE.
#[derive(Serialize, Deserialize)]
pub(super) struct ResponseHead {
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(default)]
    unknown: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<JsonMap>,
}

impl ResponseHead {
    pub(super) fn of<B>(response: &Response<B>, unknown: bool) -> Self {
        Self { status: response.status().as_u16(), headers: texts(response.headers()), unknown, user: None }
    }

    pub(super) fn known(user: JsonMap) -> Self {
        Self { status: 200, headers: Vec::new(), unknown: false, user: Some(user) }
    }

    pub(super) fn into_response<B>(self, body: B) -> Result<Response<B>> {
        let wrong = |what: &str| Error::internal("host.web", format!("the application's response has {what}"));
        let mut response = Response::new(body);
        let status = StatusCode::from_u16(self.status).ok().filter(|status| !status.is_informational());
        *response.status_mut() = status.ok_or_else(|| wrong("no such status"))?;
        *response.headers_mut() = read(&self.headers).ok_or_else(|| wrong("a header that is none"))?;
        Ok(response)
    }
}

/// Headers as texts, with one character per byte.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let value = |value: &HeaderValue| value.as_bytes().iter().map(|&byte| char::from(byte)).collect();
    let end_to_end = headers.iter().filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()));
    end_to_end.map(|(name, each)| (name.as_str().to_owned(), value(each))).collect()
}

fn read(headers: &[(String, String)]) -> Option<HeaderMap> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name: HeaderName = name.parse().ok()?;
        let bytes: Option<Vec<u8>> = value.chars().map(|each| u8::try_from(u32::from(each)).ok()).collect();
        if !HOP_BY_HOP.contains(&name.as_str()) {
            map.try_append(name, HeaderValue::from_bytes(&bytes?).ok()?).ok()?;
        }
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_and_those_of_the_connection_do_not() {
        let pairs = [("x-a", "1"), ("x-a", "\u{e9}"), ("connection", "close"), ("upgrade", "h2c")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let map = read(&pairs).unwrap_or_default();
        assert_eq!(map.get_all("x-a").iter().map(HeaderValue::as_bytes).collect::<Vec<_>>(), [&b"1"[..], &b"\xe9"[..]]);
        assert_eq!(texts(&map), pairs[..2]);
        for wrong in [("a b", "1"), ("x", "a\nb"), ("x", "\u{20ac}")] {
            assert!(read(&[(wrong.0.to_owned(), wrong.1.to_owned())]).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_response_has_a_final_status() {
        for (status, fine) in [(200, true), (418, true), (101, false), (42, false), (1000, false)] {
            let head = ResponseHead { status, headers: Vec::new(), unknown: false, user: None };
            assert_eq!(head.into_response(()).is_ok(), fine, "{status}");
        }
    }
}
