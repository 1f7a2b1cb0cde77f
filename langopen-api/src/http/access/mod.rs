//! Authenticates callers and checks what they may do.

mod authenticator;
mod credentials;
mod permit;
mod roles;
mod studio;

use axum::extract::{FromRequestParts, MatchedPath, NestedPath};
use http::request::Parts;
use http::{Extensions, StatusCode};
use langopen_core::auth::{Action, Decision, Identity, Resource, Role};
use langopen_core::{ErrorKind, JsonMap, Scope, Tenant};
use serde_json::Value;

use crate::gateway::Reached;
use crate::http::error::{ApiError, ApiResult};
use crate::http::observe::record_tenant;
use crate::server::App;

pub use authenticator::{Authenticator, require_auth};
pub(crate) use credentials::{keep_body, kept_body};
pub(crate) use permit::Permit;
pub(crate) use roles::{check as check_role, least_elsewhere};
pub use studio::StudioAuth;

/// Marks a request from within the platform. A caller in the same process adds it to the request's extensions; the
/// server then neither authenticates nor authorizes the request. A request from the network cannot carry it.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// The deployment in which the request acts.
    pub tenant: Tenant,
}

/// The caller of a request, if a layer has identified it before the handler.
#[derive(Debug, Clone)]
pub(crate) enum Pass {
    /// An authenticated caller.
    Known(Identity),
    /// The platform itself.
    Trusted(Tenant),
}

impl Pass {
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        let trusted = extensions.get::<Trusted>().map(|trusted| Self::Trusted(trusted.tenant.clone()));
        trusted.or_else(|| extensions.get::<Self>().cloned())
    }
}

/// An authenticated caller. Every operation except those about the server itself takes one as its first argument.
pub(crate) struct Caller {
    app: App,
    pub(crate) identity: Identity,
    /// Whether the request is [`Trusted`], so that no authorizer is asked.
    trusted: bool,
    /// The deployment that the request has reached, behind an [`Installation`](crate::Installation).
    reached: Option<Reached>,
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let (identity, trusted) = match Pass::of(&parts.extensions) {
            Some(Pass::Known(identity)) => (identity, false),
            Some(Pass::Trusted(tenant)) => (Identity::anonymous(tenant), true),
            None => (app.auth.authenticate(&credentials::of(parts).await).await?, false),
        };
        record_tenant(&identity.tenant);
        let reached = parts.extensions.get::<Reached>().cloned();
        if let Some(reached) = &reached {
            reached.check(&identity)?;
        }
        let caller = Self { app: app.clone(), identity, trusted, reached };
        caller.count()?;
        check_role(caller.identity.role, least(parts).await)?;
        Ok(caller)
    }
}

/// The minimum role for the operation that a request has reached, under any mount prefix.
async fn least(parts: &mut Parts) -> Role {
    let nested = NestedPath::from_request_parts(parts, &()).await.ok();
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let prefix = nested.as_ref().map_or("", NestedPath::as_str).trim_end_matches('/');
    roles::least(&parts.method, route.strip_prefix(prefix).unwrap_or_default())
}

/// Adds the caller to `configurable`, so that a graph's factory sees it when the server asks the graph about itself or
/// a state. An identity without a user adds nothing.
pub(crate) fn show_user(identity: &Identity, configurable: &mut JsonMap) {
    let Some(user) = &identity.user else { return };
    configurable.insert("langgraph_auth_user".to_owned(), Value::Object(user.clone()));
    configurable.insert("langgraph_auth_user_id".to_owned(), identity.identity.as_str().into());
    configurable.insert("langgraph_auth_permissions".to_owned(), identity.permissions.clone().into());
}

impl Caller {
    /// Counts a request. It refuses the request if the deployment's rate limit is reached.
    pub(crate) fn count(&self) -> ApiResult<()> {
        match &self.reached {
            Some(reached) if !self.trusted => reached.count(),
            _ => Ok(()),
        }
    }

    /// Refuses a caller with a lower role. It is for effects of an operation that the request must ask for.
    pub(crate) fn must_be(&self, least: Role) -> ApiResult<()> {
        check_role(self.identity.role, least)
    }

    /// Asks the authorizer whether the caller may act, on which rows, and with what data. `value` builds the request's
    /// data, an object. It is called only if an authorizer reads the data.
    pub(crate) async fn may(
        &self,
        resource: Resource,
        action: Action,
        value: impl FnOnce() -> Value,
    ) -> ApiResult<Permit> {
        if self.trusted || !self.app.auth.authorizes(resource, action) {
            return Ok(Permit { scope: Scope::tenant(self.identity.tenant.clone()), value: None });
        }
        let mut value = value();
        let fields = permit::fields(&value);
        let decision = match self.app.auth.authorize(&self.identity, resource, action, &mut value).await {
            Ok(decision) => decision,
            Err(error) if error.kind() == ErrorKind::Forbidden && error.message().is_empty() => Decision::Deny,
            Err(error) => return Err(error.into()),
        };
        let scope = self.identity.scope(decision);
        let scope = scope.ok_or_else(|| ApiError::new(StatusCode::FORBIDDEN, "Forbidden"))?;
        let value = permit::checked(value, &fields).map_err(|field| {
            let (resource, action) = (resource.as_str(), action.as_str());
            tracing::error!(resource, action, field, "an authorization handler changed the type of a field");
            ApiError::internal()
        })?;
        Ok(Permit { scope, value: Some(value) })
    }
}
