//! Cancels a run when its client disconnects.

use langopen_core::event_log::LogKey;
use langopen_core::model::{CancelAction, CancelRequest};
use langopen_core::{ErrorKind, Scope, Tenant};
use utoipa::IntoParams;

use crate::agent::App;

// This struct only documents the query of operations that join a run.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct DisconnectQuery {
    /// Cancel the run if the client disconnects.
    #[param(default = false)]
    cancel_on_disconnect: Option<bool>,
}

/// Cancels the run when it is dropped before [`CancelOnDrop::disarm`].
pub(super) struct CancelOnDrop {
    target: Option<(App, Scope, LogKey)>,
}

impl CancelOnDrop {
    /// A guard that cancels the run only if `armed` is true.
    pub(super) fn new(app: &App, tenant: &Tenant, log: LogKey, armed: bool) -> Self {
        Self { target: armed.then(|| (app.clone(), Scope::tenant(tenant.clone()), log)) }
    }

    /// Disarms the guard, because the run is over.
    pub(super) fn disarm(&mut self) {
        self.target = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some((app, scope, LogKey { thread_id, run_id })) = self.target.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let request = CancelRequest {
                action: CancelAction::Interrupt,
                reason: "client disconnected from the run stream (on_disconnect=cancel)".to_owned(),
            };
            match app.runs.cancel(&scope, thread_id, run_id, request).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::error!(run.id = %run_id, error = %error, "a run whose client disconnected was not cancelled");
                }
            }
        });
    }
}
