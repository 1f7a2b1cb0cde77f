//! The state that every handler of this API receives.

use std::sync::Arc;

use axum::extract::FromRef;
use langopen_core::auth::Auth;
use langopen_core::event_log::{EventStream, LogKey};
use langopen_core::executor::ExecutionContext;
use langopen_core::run_service::{RunReader, RunService};
use langopen_core::{Clock, Embedder, EventLog, Executor, IdSource, Queue, Scope, Storage, Tenant, UserInterfaces};

use super::error::ApiError;
use super::metrics::Metrics;
use super::roles;
use crate::http::access::Access;
use crate::http::error::ApiState;
use crate::http::extract::{BodyBudget, BodyLimits, BodyRules};
use crate::settings::Settings;

/// The state that every handler receives.
pub(crate) type App = Arc<AppState>;

/// What one deployment consists of.
pub(crate) struct AppState {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) runs: RunService,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) executor: Arc<dyn Executor>,
    /// Embeds texts for searches of the store. Without an embedder, search results are in order of time.
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    /// Components for the pages of clients, if the application has any.
    pub(crate) interfaces: Option<Arc<dyn UserInterfaces>>,
    pub(crate) auth: Arc<dyn Auth>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: Settings,
    pub(crate) bodies: BodyBudget,
    pub(crate) metrics: Metrics,
}

impl AppState {
    /// Follows a run. `events` is its log, opened before the run was created or its row was read.
    pub(crate) fn follow(&self, tenant: &Tenant, log: LogKey, resumable: bool, events: EventStream) -> RunReader {
        self.runs.follow(tenant, log, resumable, self.settings.heartbeat, events)
    }

    /// The checkpoints and items that the executor may use while it works for a caller with this scope.
    pub(crate) fn execution_context(&self, scope: &Scope) -> ExecutionContext {
        ExecutionContext::new(self.storage.clone(), self.storage.clone(), scope.clone())
    }
}

impl ApiState for App {
    type Error = ApiError;
}

impl FromRef<App> for Access {
    fn from_ref(app: &App) -> Self {
        Self { auth: app.auth.clone(), least_role: roles::least }
    }
}

impl FromRef<App> for BodyRules {
    fn from_ref(app: &App) -> Self {
        let settings = &app.settings;
        let (bytes, silence) = (settings.max_body_bytes, settings.body_timeout);
        Self {
            limits: BodyLimits { bytes, silence },
            small: BodyLimits { bytes: settings.max_search_body_bytes.min(bytes), silence },
            budget: app.bodies.clone(),
            json_from_pages: settings.refuse_foreign_pages,
        }
    }
}
