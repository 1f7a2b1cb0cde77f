//! The deployment that a request has reached.

use std::sync::Arc;

use http::{StatusCode, Uri};
use langopen_core::Tenant;
use langopen_core::auth::Identity;

use super::place;
use super::rate::Rate;
use crate::http::error::{ApiError, ApiResult};

/// The deployment that a request has reached: among the extensions of every request that an
/// [`Installation`](super::Installation) passes on.
#[derive(Clone)]
pub(crate) struct Reached {
    pub(crate) tenant: Tenant,
    /// What of the path named it, with a slash at its start, e.g. `/d/prod`; or empty.
    pub(crate) prefix: Arc<str>,
    /// Whether the request names it, by path or host.
    pub(crate) named: bool,
    /// Whether requests that name nothing and bear no API key reach it.
    pub(super) default: bool,
    pub(super) rate: Option<Arc<Rate>>,
}

impl Reached {
    /// Refuses a caller of another deployment, whatever its login said.
    pub(crate) fn check(&self, identity: &Identity) -> ApiResult<()> {
        match identity.tenant == self.tenant {
            true => Ok(()),
            false => Err(ApiError::new(StatusCode::FORBIDDEN, "These credentials are not for that deployment")),
        }
    }

    /// Whether the request names it by its host.
    pub(crate) fn is_by_host(&self) -> bool {
        self.named && self.prefix.is_empty()
    }

    /// Counts a request whose caller is known, and refuses what is too much.
    pub(crate) fn count(&self) -> ApiResult<()> {
        let Some(rate) = &self.rate else { return Ok(()) };
        rate.check().map_err(|wait| {
            let detail = format!(
                "the deployment takes {} requests in a second (max_requests_per_second): wait, ask less often, or raise the limit",
                rate.limit()
            );
            ApiError::too_many(detail, wait)
        })
    }

    /// A path, as the client wrote it, as one that leads here without an API key, which may have told what the path
    /// does not.
    pub(crate) fn without_credentials(&self, path: &str) -> String {
        match path.strip_prefix(&*self.prefix) {
            Some(below) if !self.prefix.is_empty() || !(self.named || self.default) => {
                format!("/d/{}{below}", self.tenant.to_string().replace('/', "."))
            }
            _ => path.to_owned(),
        }
    }

    /// An address as the client wrote it, from one below the prefix.
    pub(crate) fn whole(&self, uri: &Uri) -> Option<Uri> {
        place::with_path(uri, &format!("{}{}", self.prefix, uri.path()))
    }

    /// The address below the prefix.
    pub(crate) fn below(&self, uri: &Uri) -> Option<Uri> {
        place::below(uri, &self.prefix)
    }
}
