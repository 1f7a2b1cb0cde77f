//! Who asks, and what that caller may do.

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use langopen_core::auth::{Action, Credentials, Decision, Identity, Resource};
use langopen_core::{ErrorKind, JsonMap, Scope};
use serde_json::Value;

use crate::error::{ApiError, ApiResult};
use crate::server::App;

/// An authenticated caller. Every operation but those about the server itself takes one, before anything else.
pub(crate) struct Caller {
    app: App,
    pub(crate) identity: Identity,
}

/// What a caller was permitted.
pub(crate) struct Permit {
    /// Which rows.
    pub(crate) scope: Scope,
    /// The request's data as the authorizer left it; `None` if no authorizer looks.
    pub(crate) value: Option<JsonMap>,
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let credentials = Credentials {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            headers: parts.headers.iter().map(text).collect(),
        };
        match app.auth.authenticate(&credentials).await {
            Ok(identity) => Ok(Self { app: app.clone(), identity }),
            Err(error) => Err(error.into()),
        }
    }
}

impl Caller {
    /// Asks whether the caller may act, on which rows, and with what data. `value` builds the request's data and is called only
    /// if someone will look at it.
    pub(crate) async fn may(
        &self,
        resource: Resource,
        action: Action,
        value: impl FnOnce() -> Value,
    ) -> ApiResult<Permit> {
        if !self.app.auth.authorizes() {
            return Ok(Permit { scope: Scope::tenant(self.identity.tenant.clone()), value: None });
        }
        let mut value = value();
        let decision = match self.app.auth.authorize(&self.identity, resource, action, &mut value).await {
            Ok(decision) => decision,
            Err(error) if error.kind() == ErrorKind::Forbidden && error.message().is_empty() => Decision::Deny,
            Err(error) => return Err(error.into()),
        };
        let scope = self.identity.scope(decision);
        let scope = scope.ok_or_else(|| ApiError::new(StatusCode::FORBIDDEN, "Forbidden"))?;
        let value = match value {
            Value::Object(value) => value,
            _ => JsonMap::new(),
        };
        Ok(Permit { scope, value: Some(value) })
    }
}

impl Permit {
    /// The object under `key` as the authorizer left it, else `given`.
    pub(crate) fn object(&mut self, key: &str, given: JsonMap) -> JsonMap {
        match self.value.as_mut().and_then(|value| value.remove(key)) {
            Some(Value::Object(object)) => object,
            _ => given,
        }
    }

    /// The list of labels under `key` as the authorizer left it, else `given`.
    pub(crate) fn labels(&mut self, key: &str, given: Vec<String>) -> Vec<String> {
        let left = self.value.as_mut().and_then(|value| value.remove(key));
        left.and_then(|value| serde_json::from_value(value).ok()).unwrap_or(given)
    }
}
