//! The application's `Auth` object, which graph hosts hold, as an [`Auth`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use langopen_core::auth::{Action, Auth, Credentials, Decision, Identity, Refusal, Resource};
use langopen_core::{Error, ErrorKind, JsonMap, Result, Tenant};
use moka::sync::Cache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{HostPool, Need, Work};
use crate::frame::payload::ReadyAuth;

/// The time limit for a handler, including the wait for a host.
const DEADLINE: Duration = Duration::from_secs(30);

/// How often a call is tried: it is repeated once if the host died.
const ATTEMPTS: usize = 2;

/// The cache of the authenticate handler's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthCacheSettings {
    /// The headers that identify users, in any case. Requests without any of them are not cached.
    pub keys: Vec<String>,
    /// The lifetime of an entry.
    pub ttl: Duration,
    /// The most entries.
    pub max_size: u64,
}

/// Authenticates and authorizes callers with the application's handlers. If a handler fails, does not answer in time or
/// is unavailable, the request is refused.
pub struct AppAuth {
    pool: Arc<HostPool>,
    handles: ReadyAuth,
    tenant: Tenant,
    deadline: Duration,
    cache: Option<IdentityCache>,
}

/// The cached results of the authenticate handler.
struct IdentityCache {
    keys: Vec<String>,
    identities: Cache<[u8; 32], Identity>,
}

#[derive(Serialize)]
#[serde(tag = "method", content = "params")]
enum Question<'a> {
    #[serde(rename = "auth.authenticate")]
    Authenticate {
        #[serde(rename = "method")]
        http_method: &'a str,
        path: &'a str,
        query: &'a str,
        path_params: &'a [(String, String)],
        headers: &'a [(String, String)],
        client: Option<String>,
        /// Whether the request has a body.
        has_body: bool,
        body: Option<&'a str>,
    },
    #[serde(rename = "auth.authorize")]
    Authorize {
        identity: &'a str,
        permissions: &'a [String],
        user: Option<&'a JsonMap>,
        resource: &'static str,
        action: &'static str,
        value: &'a Value,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Authenticated {
    Identity { identity: String, permissions: Vec<String>, user: JsonMap },
    Refusal(Refused),
    NeedsBody(bool),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Authorized {
    Refusal { refusal: Refused },
    Answer { answer: Value, value: Value },
}

#[derive(Deserialize)]
struct Refused {
    status: u16,
    detail: String,
    headers: Vec<(String, String)>,
}

impl From<Refused> for Error {
    fn from(Refused { status, detail, headers }: Refused) -> Self {
        Refusal { status, detail, headers }.into()
    }
}

impl AppAuth {
    /// The `Auth` object of the pool's application; `None` if it has none.
    pub fn of(pool: &Arc<HostPool>) -> Option<Self> {
        let handles = pool.auth()?;
        Some(Self { pool: Arc::clone(pool), handles, tenant: Tenant::default(), deadline: DEADLINE, cache: None })
    }

    /// Enables the cache.
    #[must_use]
    pub fn with_cache(mut self, settings: AuthCacheSettings) -> Self {
        let AuthCacheSettings { keys, ttl, max_size } = settings;
        let keys: Vec<_> = keys.iter().map(|key| key.to_ascii_lowercase()).collect();
        let identities = Cache::builder().max_capacity(max_size).time_to_live(ttl).build();
        self.cache = (!keys.is_empty()).then_some(IdentityCache { keys, identities });
        self
    }

    /// Sets the time limit for an answer.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whether the application has an authenticate handler.
    pub fn authenticates(&self) -> bool {
        self.handles.authenticate
    }

    /// The actions without a handler, e.g. `threads.create`: every authenticated caller may perform them.
    pub fn uncovered(&self) -> Vec<String> {
        let all = Resource::ALL
            .into_iter()
            .flat_map(|resource| resource.actions().iter().map(move |action| (resource, *action)));
        let open = all.filter(|(resource, action)| !self.authorizes(*resource, *action));
        open.map(|(resource, action)| format!("{}.{}", resource.as_str(), action.as_str())).collect()
    }

    async fn ask<T: DeserializeOwned>(&self, question: &Question<'_>) -> Result<T> {
        let asked = async {
            let mut attempt = 1;
            loop {
                match self.pool.choose(Work::Question, Need::Auth).await?.ask_auth(question).await {
                    Err(error) if error.kind() == ErrorKind::Unavailable && attempt < ATTEMPTS => attempt += 1,
                    answer => return answer,
                }
            }
        };
        let silent = || Error::unavailable("auth.ask", "The application's authentication does not answer; try again");
        tokio::time::timeout(self.deadline, asked).await.map_err(|_| silent())?.map_err(|error| match error.kind() {
            ErrorKind::Unavailable => silent().with_source(error),
            _ => error,
        })
    }

    async fn question(&self, credentials: &Credentials, body: Option<&str>) -> Result<Authenticated> {
        let question = Question::Authenticate {
            http_method: &credentials.method,
            path: &credentials.path,
            query: &credentials.query,
            path_params: &credentials.path_params,
            headers: &credentials.headers,
            client: credentials.peer.map(|peer| peer.to_string()),
            has_body: credentials.body.as_ref().is_some_and(|body| !body.is_empty()),
            body,
        };
        self.ask(&question).await
    }

    async fn identify(&self, credentials: &Credentials) -> Result<Identity> {
        let mut answer = self.question(credentials, None).await?;
        if matches!(answer, Authenticated::NeedsBody(true)) {
            let body = credentials.body.as_deref().and_then(|body| std::str::from_utf8(body).ok());
            answer = self.question(credentials, Some(body.unwrap_or_default())).await?;
        }
        match answer {
            Authenticated::Identity { identity, permissions, user } => {
                Ok(Identity { tenant: self.tenant.clone(), identity, role: None, permissions, user: Some(user) })
            }
            Authenticated::Refusal(refusal) => Err(refusal.into()),
            Authenticated::NeedsBody(_) => {
                Err(Error::internal("auth.authenticate", "the host requested the body twice"))
            }
        }
    }
}

/// A fingerprint of the headers that identify the user; `None` if the request has none of them.
fn fingerprint(keys: &[String], credentials: &Credentials) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut any = false;
    for key in keys {
        let values: Vec<_> = credentials.headers.iter().filter(|(name, _)| name == key).collect();
        any |= !values.is_empty();
        hash.update(values.len().to_be_bytes());
        for (_, value) in values {
            hash.update(value.len().to_be_bytes());
            hash.update(value);
        }
    }
    any.then(|| hash.finalize().into())
}

#[async_trait]
impl Auth for AppAuth {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity> {
        if !self.handles.authenticate {
            return Err(Refusal::new(401, "Unauthorized").into());
        }
        // The login belongs to the application, so it decides for every deployment of the application.
        let here = |identity| Identity {
            tenant: credentials.tenant.clone().unwrap_or_else(|| self.tenant.clone()),
            ..identity
        };
        let cache =
            self.cache.as_ref().and_then(|cache| Some((&cache.identities, fingerprint(&cache.keys, credentials)?)));
        let Some((cache, key)) = cache else { return self.identify(credentials).await.map(here) };
        if let Some(identity) = cache.get(&key) {
            return Ok(here(identity));
        }
        let identity = self.identify(credentials).await?;
        cache.insert(key, identity.clone());
        Ok(here(identity))
    }

    async fn authorize(
        &self,
        identity: &Identity,
        resource: Resource,
        action: Action,
        value: &mut Value,
    ) -> Result<Decision> {
        let question = Question::Authorize {
            identity: &identity.identity,
            permissions: &identity.permissions,
            user: identity.user.as_ref(),
            resource: resource.as_str(),
            action: action.as_str(),
            value,
        };
        match self.ask(&question).await? {
            Authorized::Refusal { refusal } => Err(refusal.into()),
            Authorized::Answer { answer, value: left } => {
                *value = left;
                Decision::from_answer(answer)
            }
        }
    }

    fn authorizes(&self, resource: Resource, action: Action) -> bool {
        let handles = |resource: &str, action: &str| {
            self.handles.handlers.iter().any(|(held, of)| held == resource && of == action)
        };
        let (resource, action) = (resource.as_str(), action.as_str());
        handles(resource, action) || handles(resource, "*") || handles("*", action) || handles("*", "*")
    }

    fn needs_body(&self) -> bool {
        self.handles.needs_body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_the_same_user_look_the_same() {
        let keys = ["authorization".to_owned(), "x-org".to_owned()];
        let of = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            fingerprint(&keys, &Credentials { headers, ..Credentials::default() })
        };
        assert_eq!(of(&[("accept", "a")]), None);
        assert_eq!(of(&[("authorization", "a"), ("accept", "x")]), of(&[("authorization", "a")]));
        let all = [
            of(&[("authorization", "a")]),
            of(&[("x-org", "a")]),
            of(&[("authorization", "")]),
            of(&[("authorization", "a"), ("x-org", "")]),
            of(&[("authorization", "a"), ("authorization", "b")]),
            of(&[("authorization", "ab")]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(one.is_some() && !all[at + 1..].contains(one), "{at}");
        }
    }
}
