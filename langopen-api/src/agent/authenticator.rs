//! The server's own login, for routes beside the API.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use langopen_core::auth::{Auth, Identity};

use super::error::ApiError;
use crate::http::access::credentials;
use crate::http::error;
use crate::http::extract::{BodyBudget, BodyLimits, buffer};
use crate::http::reached::Reached;

/// Authenticates callers in the same way as the API. Use it as a layer for routes of your own beside the API:
///
/// ```
/// use std::sync::Arc;
///
/// use axum::{Extension, Router, middleware, routing::get};
/// use langopen_api::{Authenticator, require_auth};
/// use langopen_core::auth::{Auth, Identity};
///
/// fn mine(auth: Arc<dyn Auth>) -> Router {
///     Router::new()
///         .route("/me", get(async |Extension(who): Extension<Identity>| who.identity))
///         .layer(middleware::from_fn_with_state(Authenticator::new(auth), require_auth))
/// }
/// ```
#[derive(Clone)]
pub struct Authenticator {
    auth: Arc<dyn Auth>,
    limits: BodyLimits,
    bodies: BodyBudget,
}

impl Authenticator {
    /// An authenticator that uses `auth`.
    pub fn new(auth: Arc<dyn Auth>) -> Self {
        Self { auth, limits: BodyLimits::default(), bodies: BodyBudget::default() }
    }

    /// Refuses larger bodies. It has an effect only if the login reads bodies.
    #[must_use]
    pub fn with_max_body_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Counts the bodies that the login reads against `budget`.
    #[must_use]
    pub fn with_body_budget(mut self, budget: BodyBudget) -> Self {
        self.bodies = budget;
        self
    }

    /// Returns the caller's identity and the request. If the login refuses the caller, it returns the answer to send
    /// instead.
    pub async fn authenticate(&self, request: Request) -> Result<(Identity, Request), Response> {
        self.admit(request).await.map_err(|failure| ApiError::from(failure).into_response())
    }

    async fn admit(&self, request: Request) -> error::Result<(Identity, Request)> {
        let request = match self.auth.needs_body() {
            true => buffer(request, self.limits, &self.bodies).await?,
            false => request,
        };
        let (mut parts, body) = request.into_parts();
        let identity = self.auth.authenticate(&credentials(&mut parts).await).await?;
        if let Some(reached) = parts.extensions.get::<Reached>() {
            reached.check(&identity)?;
        }
        Ok((identity, Request::from_parts(parts, body)))
    }
}

/// Passes on authenticated requests, with the caller's [`Identity`] in their extensions. It is a middleware for
/// [`axum::middleware::from_fn_with_state`].
pub async fn require_auth(State(authenticator): State<Authenticator>, request: Request, next: Next) -> Response {
    match authenticator.authenticate(request).await {
        Ok((identity, mut request)) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(response) => response,
    }
}
