//! Reads from a request which deployment it names.

use http::header;
use http::request::Parts;
use http::uri::Authority;
use langopen_core::Tenant;
use langopen_core::auth::KeyScope;

/// The name of a deployment in a request's path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// `deployment`, `project.deployment` or `organization.project.deployment`.
    name: &'a str,
}

impl<'a> Named<'a> {
    /// The name in a path `/d/{name}/...`.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/d/")?;
        let name = rest.split('/').next().filter(|name| !name.is_empty())?;
        Some(Self { name })
    }

    pub(super) fn as_str(&self) -> &'a str {
        self.name
    }

    /// The part of the path that names the deployment.
    pub(super) fn prefix(&self) -> String {
        format!("/d/{}", self.name)
    }

    /// The deployment. The key's scope supplies the parts that the name omits; without a key, the default deployment
    /// does.
    pub(super) fn tenant(&self, scope: Option<&KeyScope>, default: Option<&Tenant>) -> Result<Tenant, Unclear> {
        let parts: Vec<_> = self.name.split('.').collect();
        let organization = || match scope {
            Some(scope) => Some(scope.organization()),
            None => default.map(Tenant::organization),
        };
        let project = || match scope {
            Some(scope) => scope.project(),
            None => default.map(Tenant::project),
        };
        let tenant = match parts[..] {
            [deployment] => {
                Tenant::new(organization().ok_or(Unclear::More)?, project().ok_or(Unclear::More)?, deployment)
            }
            [project, deployment] => Tenant::new(organization().ok_or(Unclear::More)?, project, deployment),
            [organization, project, deployment] => Tenant::new(organization, project, deployment),
            _ => return Err(Unclear::Never),
        };
        tenant.map_err(|_| Unclear::Never)
    }
}

/// Why a name identifies no deployment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unclear {
    /// The name omits a part that neither the key nor the default supplies.
    More,
    /// No deployment can have this name.
    Never,
}

/// The host name that the request is for, in lower case, without its port.
pub(super) fn host(request: &Parts) -> Option<String> {
    let named = request.headers.get(header::HOST).and_then(|value| value.to_str().ok()?.parse::<Authority>().ok());
    let host = request.uri.host().map(str::to_ascii_lowercase);
    host.or_else(|| named.map(|authority| authority.host().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_whole() {
        let default = Tenant::new("here", "main", "one").unwrap();
        let of = |path: &str, scope: Option<&str>, default: Option<&Tenant>| {
            let scope = scope.map(|scope| KeyScope::parse(scope).unwrap());
            Named::of(path).unwrap().tenant(scope.as_ref(), default).map(|tenant| tenant.to_string())
        };
        for (path, scope, expected) in [
            ("/d/x", None, Ok("here/main/x")),
            ("/d/x/threads/search", Some("acme/web/prod"), Ok("acme/web/x")),
            ("/d/x", Some("acme/web/*"), Ok("acme/web/x")),
            ("/d/x", Some("acme/*"), Err(Unclear::More)),
            ("/d/web.x/", Some("acme/*"), Ok("acme/web/x")),
            ("/d/web.x", None, Ok("here/web/x")),
            ("/d/acme.web.x", None, Ok("acme/web/x")),
            ("/d/a.b.c.d", None, Err(Unclear::Never)),
            ("/d/X", None, Err(Unclear::Never)),
            ("/d/.x", None, Err(Unclear::Never)),
        ] {
            assert_eq!(of(path, scope, Some(&default)), expected.map(str::to_owned), "{path} {scope:?}");
        }
        assert_eq!(of("/d/x", None, None), Err(Unclear::More));
        for path in ["/", "/d", "/d/", "/d//x", "/docs", "/dx"] {
            assert_eq!(Named::of(path), None, "{path}");
        }
    }
}
