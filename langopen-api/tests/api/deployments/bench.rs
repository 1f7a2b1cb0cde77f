//! An installation with four deployments.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::response::{IntoResponse, Response};
use langopen_api::{
    AgentServer, Api, AppDescription, AppOptions, AppRequest, AppRoute, CustomApp, DeploymentSource, Installation,
};
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::auth::{ApiKey, ApiKeyAuth, Auth, KeyRing, KeyScope, OpenAuth, Role};
use langopen_core::clock::ManualClock;
use langopen_core::model::{DeploymentLimits, DeploymentSpec, NewStoredApiKey};
use langopen_core::storage::{ApiKeys, Deployments};
use langopen_core::user_interface::Bundle;
use langopen_core::{ApiKeyId, Backend, Result, Tenant, Timestamp, UserInterfaces};
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Server, graphs, quick};

/// Serves every listed deployment except `acme/web/down`.
pub(super) struct Source {
    memory: Arc<Memory>,
    events: Arc<MemoryEventLog>,
    auth: Arc<dyn Auth>,
    pub(super) revision: Mutex<String>,
    pub(super) made: AtomicUsize,
    app: bool,
}

#[async_trait]
impl DeploymentSource for Source {
    async fn revision(&self, tenant: &Tenant, listed: bool) -> Result<Option<String>> {
        let served = listed && tenant.deployment() != "down";
        Ok(served.then(|| self.revision.lock().clone()))
    }

    async fn server(&self, tenant: &Tenant, _: &str) -> Result<AgentServer> {
        self.made.fetch_add(1, Ordering::SeqCst);
        let backend = Backend::new(self.memory.clone(), self.events.clone());
        let server = AgentServer::new(backend, Arc::new(graphs()));
        let server = server.with_settings(quick()).with_auth(self.auth.clone());
        server.sync_system_assistants(tenant).await?;
        let server = server.with_user_interfaces(Arc::new(Components));
        Ok(match self.app {
            true => server.with_app(Arc::new(App), AppOptions::default()),
            false => server,
        })
    }
}

struct Components;

#[async_trait]
impl UserInterfaces for Components {
    async fn bundle(&self, name: &str) -> Result<Arc<Bundle>> {
        let (hash, global) = ("0".repeat(64), format!("__{name}"));
        Ok(Arc::new(Bundle { hash, global, script: "code".into(), style: None }))
    }
}

struct App;

#[async_trait]
impl CustomApp for App {
    fn describe(&self) -> AppDescription {
        let route = AppRoute { pattern: "^/mine$".to_owned(), methods: None, websocket: false };
        AppDescription { first: true, routes: vec![route], fallback: false, openapi: None }
    }

    async fn call(&self, request: AppRequest, api: Api) -> Response {
        let path = request.request.uri().path().to_owned();
        match path.ends_with("/mine") {
            true => axum::Json(json!({"path": path, "root": request.root_path})).into_response(),
            false => api.call(request.request).await,
        }
    }
}

pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) source: Arc<Source>,
    pub(super) clock: Arc<ManualClock>,
}

/// Options of a test server.
#[derive(Default)]
pub(super) struct Options {
    pub(super) open: bool,
    pub(super) app: bool,
    pub(super) root: bool,
    pub(super) default: Option<Tenant>,
}

pub(super) fn tenant(text: &str) -> Tenant {
    Tenant::parse(text).unwrap()
}

impl Bench {
    /// An installation with `acme/web/prod` (with the host `prod.example`), `acme/web/test`, `acme/web/down` and
    /// `other/web/prod`.
    pub(super) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)));
        let memory = Arc::new(Memory::with_clock(clock.clone()));
        let events = Arc::new(MemoryEventLog::new());
        let ring = Arc::new(KeyRing::new(Vec::new()).with_stored(memory.clone(), clock.clone()));
        let auth: Arc<dyn Auth> = match options.open {
            true => Arc::new(OpenAuth::default()),
            false => Arc::new(ApiKeyAuth::of(ring.clone())),
        };
        for name in ["acme/web/prod", "acme/web/test", "acme/web/down", "other/web/prod"] {
            let hosts = if name == "acme/web/prod" { vec!["prod.example".to_owned()] } else { Vec::new() };
            let spec = DeploymentSpec { hosts, limits: DeploymentLimits::default() };
            memory.put_deployment(&tenant(name), spec).await.unwrap();
        }
        let source = Arc::new(Source {
            memory: memory.clone(),
            events: events.clone(),
            auth,
            revision: Mutex::new("1".to_owned()),
            made: AtomicUsize::new(0),
            app: options.app,
        });
        let mut installation =
            Installation::new(source.clone(), memory.clone()).with_keys(ring).with_clock(clock.clone());
        if options.root {
            let ok = axum::routing::get(async || "the process is healthy");
            installation = installation.with_root(axum::Router::new().route("/ok", ok));
        }
        if let Some(default) = options.default {
            installation = installation.with_default(default);
        }
        Self { server: Server { router: installation.router(), events, memory }, source, clock }
    }

    pub(super) async fn key(&self, scope: &str, role: Role) -> (ApiKeyId, String) {
        let key = ApiKey::generate().unwrap();
        let new = NewStoredApiKey {
            key_id: ApiKeyId(Uuid::now_v7()),
            name: scope.to_owned(),
            hash: key.hash(),
            prefix: key.prefix().to_owned(),
            scope: KeyScope::parse(scope).unwrap(),
            role,
            expires_at: None,
        };
        let id = self.server.memory.create_api_key(new).await.unwrap().key_id;
        (id, key.expose().to_owned())
    }

    pub(super) async fn admin(&self, scope: &str) -> String {
        self.key(scope, Role::Admin).await.1
    }

    pub(super) async fn put(&self, name: &str, spec: DeploymentSpec) {
        self.server.memory.put_deployment(&tenant(name), spec).await.unwrap();
        self.clock.advance(Duration::from_secs(5));
    }

    pub(super) async fn send(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        self.server.send(method, path, &[("x-api-key", key)], body.to_string()).await
    }

    pub(super) async fn status(&self, key: &str, path: &str) -> u16 {
        self.send(key, "POST", path, json!({})).await.status.as_u16()
    }
}
