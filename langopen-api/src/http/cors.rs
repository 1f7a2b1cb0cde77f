//! Cross-origin rules: which web pages may call the server, and which headers they may read.

use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use http::{HeaderName, HeaderValue, Method, header};
use regex::Regex;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;

/// Response headers that clients need. The server exposes them in addition to the configured ones.
const EXPOSED: [&str; 4] = ["x-pagination-total", "x-pagination-next", "content-location", "location"];

const METHODS: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY"];

/// Cross-origin rules. The default lets pages of any origin call, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may call; `*` for any.
    pub allow_origins: Vec<String>,
    /// A regular expression for further origins. It must match the whole origin.
    pub allow_origin_regex: Option<String>,
    /// Methods that pages may use; `*` for all methods of the API.
    pub allow_methods: Vec<String>,
    /// Request headers that pages may send; `*` for any.
    pub allow_headers: Vec<String>,
    /// Whether browsers send credentials such as cookies. It has no effect if `*` is among the origins.
    pub allow_credentials: bool,
    /// Response headers that pages may read, in addition to those that the API's clients need.
    pub expose_headers: Vec<String>,
    /// How long browsers may cache the answer to a preflight.
    pub max_age: Duration,
    /// Whether public pages may call a server in a private network.
    pub allow_private_network: bool,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            allow_origins: vec!["*".to_owned()],
            allow_origin_regex: None,
            allow_methods: METHODS.map(str::to_owned).to_vec(),
            allow_headers: vec!["*".to_owned()],
            allow_credentials: false,
            expose_headers: Vec::new(),
            max_age: Duration::from_secs(600),
            allow_private_network: true,
        }
    }
}

/// An invalid cross-origin rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCors {
    /// The field of [`Cors`] with the invalid value.
    pub field: &'static str,
    /// The invalid value.
    pub value: String,
    /// The reason why it is invalid.
    pub why: String,
}

impl std::fmt::Display for InvalidCors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {:?} {}", self.field, self.value, self.why)
    }
}

impl std::error::Error for InvalidCors {}

impl Cors {
    /// Checks that every rule is valid.
    ///
    /// # Errors
    /// The first invalid rule.
    pub fn validate(&self) -> Result<(), InvalidCors> {
        self.rules().map(|_| ())
    }

    fn rules(&self) -> Result<CorsLayer, InvalidCors> {
        let any = |values: &[String]| values.iter().any(|value| value == "*");
        let pattern = self.allow_origin_regex.as_deref().map(whole).transpose()?;
        let origins: Vec<HeaderValue> = parse("allow_origins", "is not an origin", &self.allow_origins)?;
        let origin = match any(&self.allow_origins) {
            true => AllowOrigin::any(),
            false => AllowOrigin::predicate(move |origin, _| {
                let matches = |pattern: &Regex| origin.to_str().is_ok_and(|text| pattern.is_match(text));
                origins.contains(origin) || pattern.as_ref().is_some_and(matches)
            }),
        };
        let methods = match any(&self.allow_methods) {
            true => parse("allow_methods", "is not a method", &METHODS.map(str::to_owned))?,
            false => parse::<Method>("allow_methods", "is not a method", &self.allow_methods)?,
        };
        let headers = match any(&self.allow_headers) {
            true => AllowHeaders::mirror_request(),
            false => AllowHeaders::list(parse("allow_headers", "is not a header's name", &self.allow_headers)?),
        };
        // Browsers that send credentials do not treat `*` as a wildcard, so it is left out.
        let named: Vec<String> = self.expose_headers.iter().filter(|name| *name != "*").cloned().collect();
        let mut exposed = EXPOSED.map(HeaderName::from_static).to_vec();
        for name in parse("expose_headers", "is not a header's name", &named)? {
            if !exposed.contains(&name) {
                exposed.push(name);
            }
        }
        Ok(CorsLayer::new()
            .allow_origin(origin)
            .allow_methods(AllowMethods::list(methods))
            .allow_headers(headers)
            .allow_credentials(self.allow_credentials && !any(&self.allow_origins))
            .allow_private_network(self.allow_private_network)
            .expose_headers(exposed)
            .max_age(self.max_age))
    }

    /// Whether pages of this origin may call.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(text) = origin.to_str() else { return false };
        let named = self.allow_origins.iter().any(|allowed| allowed == "*" || allowed == text);
        // An invalid pattern matches no origin.
        let pattern = self.allow_origin_regex.as_deref().and_then(|pattern| whole(pattern).ok());
        named || pattern.is_some_and(|pattern| pattern.is_match(text))
    }

    /// Whether the rules name this origin itself; `*` does not count.
    pub(crate) fn names(&self, origin: &HeaderValue) -> bool {
        let named = self.allow_origins.iter().filter(|allowed| *allowed != "*").cloned().collect();
        Self { allow_origins: named, ..self.clone() }.allows(origin)
    }

    /// The rules as a layer. If [`Cors::validate`] refuses them, the layer allows no origin.
    pub(crate) fn layer(&self) -> PreflightLayer {
        PreflightLayer(self.rules().unwrap_or_else(|error| {
            tracing::error!(%error, "the cross-origin rules are invalid; no page of another origin may call");
            CorsLayer::new()
        }))
    }
}

fn whole(pattern: &str) -> Result<Regex, InvalidCors> {
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| InvalidCors {
        field: "allow_origin_regex",
        value: pattern.to_owned(),
        why: format!("is not a regular expression: {error}"),
    })
}

fn parse<T: std::str::FromStr>(field: &'static str, why: &str, values: &[String]) -> Result<Vec<T>, InvalidCors> {
    let one =
        |value: &String| value.parse().map_err(|_| InvalidCors { field, value: value.clone(), why: why.to_owned() });
    values.iter().map(one).collect()
}

/// Answers preflight requests. It passes every other `OPTIONS` request to the routes.
#[derive(Clone)]
pub(crate) struct PreflightLayer(CorsLayer);

impl<S: Clone> Layer<S> for PreflightLayer {
    type Service = Preflight<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Preflight { rules: self.0.layer(inner.clone()), plain: inner }
    }
}

#[derive(Clone)]
pub(crate) struct Preflight<S> {
    rules: tower_http::cors::Cors<S>,
    plain: S,
}

impl<S, B> Service<Request> for Preflight<S>
where
    S: Service<Request, Response = http::Response<B>>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
    B: Default + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures::future::Either<<tower_http::cors::Cors<S> as Service<Request>>::Future, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Routers are always ready, and the other service is a clone of this one.
        Service::<Request>::poll_ready(&mut self.plain, context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let asked = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        match request.method() == Method::OPTIONS && !asked {
            true => futures::future::Either::Right(self.plain.call(request)),
            false => futures::future::Either::Left(self.rules.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_named_or_match() {
        let cors = |origins: &[&str], pattern: Option<&str>| Cors {
            allow_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            allow_origin_regex: pattern.map(str::to_owned),
            ..Cors::default()
        };
        let page = HeaderValue::from_static("https://a.example");
        assert!(Cors::default().allows(&page));
        assert!(cors(&["https://a.example"], None).allows(&page));
        assert!(cors(&[], Some(r"https://.*\.example")).allows(&page));
        for refusing in [cors(&["https://b.example"], None), cors(&[], Some("a.example")), cors(&[], Some("("))] {
            assert!(!refusing.allows(&page));
        }
    }

    #[test]
    fn rules_that_cannot_be_followed_are_named() {
        let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let wrong = [
            Cors { allow_origin_regex: Some("https://(".to_owned()), ..Cors::default() },
            Cors { allow_origins: texts(&["a\nb"]), ..Cors::default() },
            Cors { allow_methods: texts(&["GE T"]), ..Cors::default() },
            Cors { allow_headers: texts(&["x y"]), ..Cors::default() },
            Cors { expose_headers: texts(&[""]), ..Cors::default() },
        ];
        let fields = ["allow_origin_regex", "allow_origins", "allow_methods", "allow_headers", "expose_headers"];
        for (cors, field) in wrong.iter().zip(fields) {
            assert_eq!(cors.validate().map_err(|error| error.field), Err(field));
        }
        assert_eq!(
            Cors { expose_headers: texts(&["*"]), allow_credentials: true, ..Cors::default() }.validate(),
            Ok(())
        );
    }
}
