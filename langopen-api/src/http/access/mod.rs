//! Authenticates callers and checks what they may do.

mod credentials;
mod permit;
mod role;

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, MatchedPath, NestedPath};
use http::request::Parts;
use http::{Extensions, Method, StatusCode};
use langopen_core::auth::{Action, Auth, Decision, Identity, Resource, Role};
use langopen_core::{ErrorKind, Scope, Tenant};
use serde_json::Value;

use crate::http::error::{ApiState, Failure, Result};
use crate::http::observe::record_tenant;
use crate::http::reached::Reached;

pub(crate) use credentials::of as credentials;
pub(crate) use permit::Permit;
pub(crate) use role::check_role;

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

/// How an API admits its callers.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) auth: Arc<dyn Auth>,
    /// The minimum role for an operation, by its method and its route.
    pub(crate) least_role: fn(&Method, &str) -> Role,
}

/// An authenticated caller. Every operation except those about the server itself takes one as its first argument.
pub(crate) struct Caller {
    auth: Arc<dyn Auth>,
    pub(crate) identity: Identity,
    /// Whether the request is [`Trusted`], so that no authorizer is asked.
    trusted: bool,
    /// The deployment that the request has reached, behind an [`Installation`](crate::Installation).
    reached: Option<Reached>,
}

impl<S> FromRequestParts<S> for Caller
where
    S: ApiState,
    Access: FromRef<S>,
{
    type Rejection = S::Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, S::Error> {
        Ok(Self::admitted(parts, Access::from_ref(state)).await?)
    }
}

/// The minimum role for the operation that a request has reached, under any mount prefix.
async fn least_role(parts: &mut Parts, of: fn(&Method, &str) -> Role) -> Role {
    let nested = NestedPath::from_request_parts(parts, &()).await.ok();
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let prefix = nested.as_ref().map_or("", NestedPath::as_str).trim_end_matches('/');
    of(&parts.method, route.strip_prefix(prefix).unwrap_or_default())
}

impl Caller {
    async fn admitted(parts: &mut Parts, access: Access) -> Result<Self> {
        let (identity, trusted) = match Pass::of(&parts.extensions) {
            Some(Pass::Known(identity)) => (identity, false),
            Some(Pass::Trusted(tenant)) => (Identity::anonymous(tenant), true),
            None => (access.auth.authenticate(&credentials(parts).await).await?, false),
        };
        record_tenant(&identity.tenant);
        let reached = parts.extensions.get::<Reached>().cloned();
        if let Some(reached) = &reached {
            reached.check(&identity)?;
        }
        let caller = Self { auth: access.auth, identity, trusted, reached };
        caller.count()?;
        check_role(caller.identity.role, least_role(parts, access.least_role).await)?;
        Ok(caller)
    }

    /// Counts a request. It refuses the request if the deployment's rate limit is reached.
    pub(crate) fn count(&self) -> Result<()> {
        match &self.reached {
            Some(reached) if !self.trusted => reached.count(),
            _ => Ok(()),
        }
    }

    /// Refuses a caller with a lower role. It is for effects of an operation that the request must ask for.
    pub(crate) fn must_be(&self, least: Role) -> Result<()> {
        check_role(self.identity.role, least)
    }

    /// Asks the authorizer whether the caller may act, on which rows, and with what data. `value` builds the request's
    /// data, an object. It is called only if an authorizer reads the data.
    pub(crate) async fn may(
        &self,
        resource: Resource,
        action: Action,
        value: impl FnOnce() -> Value,
    ) -> Result<Permit> {
        if self.trusted || !self.auth.authorizes(resource, action) {
            return Ok(Permit { scope: Scope::tenant(self.identity.tenant.clone()), value: None });
        }
        let mut value = value();
        let fields = permit::fields(&value);
        let decision = match self.auth.authorize(&self.identity, resource, action, &mut value).await {
            Ok(decision) => decision,
            Err(error) if error.kind() == ErrorKind::Forbidden && error.message().is_empty() => Decision::Deny,
            Err(error) => return Err(error.into()),
        };
        let scope = self.identity.scope(decision);
        let scope = scope.ok_or_else(|| Failure::new(StatusCode::FORBIDDEN, "Forbidden"))?;
        let value = permit::checked(value, &fields).map_err(|field| {
            let (resource, action) = (resource.as_str(), action.as_str());
            tracing::error!(resource, action, field, "an authorization handler changed the type of a field");
            Failure::internal()
        })?;
        Ok(Permit { scope, value: Some(value) })
    }
}
