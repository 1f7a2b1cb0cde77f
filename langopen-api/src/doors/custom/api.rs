//! The API, which a custom app can call.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use langopen_core::auth::Identity;
use langopen_core::{JsonMap, Tenant};
use tower_service::Service;

use crate::agent::Authenticator;
use crate::agent::error::ApiError;
use crate::agent::roles::least_elsewhere;
use crate::http::access::{Pass, check_role};
use crate::http::fallback::UnknownPath;
use crate::http::reached::Reached;

/// The API behind a custom app, for one request.
#[derive(Clone)]
pub struct Api {
    pub(super) router: Router,
    pub(super) authenticator: Authenticator,
    /// The caller, if it is already authenticated or trusted.
    pub(super) pass: Option<Pass>,
    /// The deployment that the request names, where the server serves several.
    pub(super) reached: Option<Reached>,
    /// Headers with the platform's own credentials. The app does not see them.
    pub(super) withheld: HeaderMap,
}

impl Api {
    /// Passes a request to the API. Adds the caller, the withheld headers and the deployment again.
    pub async fn call(&self, mut request: Request) -> Response {
        if let Some(pass) = &self.pass {
            request.extensions_mut().insert(pass.clone());
        }
        self.restore(request.headers_mut());
        if let Some(reached) = &self.reached {
            if let Some(below) = reached.below(request.uri()) {
                *request.uri_mut() = below;
            }
            request.extensions_mut().insert(reached.clone());
        }
        answer(&self.router, request).await
    }

    /// Whether a response of [`Api::call`] means that the API has no such path. The request's body is then unread.
    pub fn has_no_path(response: &Response) -> bool {
        response.extensions().get::<UnknownPath>().is_some()
    }

    /// Authenticates a caller and checks its role. Returns the user for custom routes, or the response that refuses the
    /// caller.
    pub async fn authenticate(&self, request: http::Request<()>) -> Result<JsonMap, Response> {
        let mut request = request.map(|()| Body::empty());
        self.restore(request.headers_mut());
        if let Some(reached) = &self.reached {
            request.extensions_mut().insert(reached.clone());
        }
        let least = least_elsewhere(request.method());
        let (identity, _) = self.authenticator.authenticate(request).await?;
        check_role(identity.role, least).map_err(|failure| ApiError::from(failure).into_response())?;
        Ok(user(&identity))
    }

    /// The caller's tenant, if the caller is already authenticated or trusted.
    pub fn tenant(&self) -> Option<&Tenant> {
        match self.pass.as_ref()? {
            Pass::Known(identity) => Some(&identity.tenant),
            Pass::Trusted(tenant) => Some(tenant),
        }
    }

    fn restore(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.withheld {
            if !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// Calls a router. Routers are always ready and never fail.
pub(super) async fn answer(router: &Router, request: Request) -> Response {
    match router.clone().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A user for custom routes.
pub(super) fn user(identity: &Identity) -> JsonMap {
    let mut user = identity.user.clone().unwrap_or_default();
    user.entry("identity").or_insert_with(|| identity.identity.as_str().into());
    user.entry("permissions").or_insert_with(|| identity.permissions.clone().into());
    user
}

/// Removes the platform's own API keys from a request, because the app is user code and must not see them.
pub(super) fn withhold(headers: &mut HeaderMap) -> HeaderMap {
    let mut withheld = HeaderMap::new();
    for name in ["x-api-key", "authorization"].map(HeaderName::from_static) {
        let value = headers.get(&name).filter(|value| is_key(value)).cloned();
        if let Some(value) = value {
            headers.remove(&name);
            withheld.insert(name, value);
        }
    }
    withheld
}

fn is_key(value: &HeaderValue) -> bool {
    let text = value.to_str().unwrap_or_default();
    let bearer = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    let token = if bearer { text[7..].trim_start() } else { text };
    token.starts_with("lok_")
}
