//! Facts about a thread's runs that come from their rows instead of the log.

use langopen_core::model::Run;
use langopen_core::{Result, RunId, Scope, Tenant, ThreadId};
use serde::Deserialize;
use serde_json::Value;

use crate::agent::App;

/// Reads the rows of one thread. The caller is already authorized for it.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) app: App,
    pub(super) scope: Scope,
    pub(super) thread_id: ThreadId,
}

impl Rows {
    pub(super) fn new(app: &App, tenant: &Tenant, thread_id: ThreadId) -> Self {
        Self { app: app.clone(), scope: Scope::tenant(tenant.clone()), thread_id }
    }

    pub(super) async fn run(&self, run_id: RunId) -> Result<Option<Run>> {
        let run = self.app.storage.run(&self.scope, self.thread_id, run_id).await;
        run.inspect_err(|error| tracing::warn!(run.id = %run_id, error = %error, "cannot read a run's row"))
    }
}

/// The facts from a run's row that its events lack.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) graph_name: String,
    /// Whether the run streams `values`, which then carry its interrupts.
    pub(super) values: bool,
    /// The ids of the interrupts that the run answers.
    pub(super) answers: Vec<String>,
}

impl Facts {
    pub(super) fn of(run: Option<&Run>) -> Self {
        #[derive(Deserialize, Default)]
        struct Command {
            #[serde(default)]
            resume: Value,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Kwargs {
            command: Option<Command>,
            stream_mode: Vec<String>,
        }
        let Some(run) = run else { return Self { values: true, ..Self::default() } };
        let kwargs: Kwargs = run.kwargs.decode().unwrap_or_default();
        let has = |mode: &str| kwargs.stream_mode.iter().any(|each| each == mode);
        Self {
            graph_name: run.graph_id.clone(),
            values: has("values"),
            answers: kwargs.command.map(|command| answers(&command.resume)).unwrap_or_default(),
        }
    }
}

/// The ids of the interrupts that `resume` answers, if it is a map by ids.
fn answers(resume: &Value) -> Vec<String> {
    let is_id = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match resume.as_object() {
        Some(map) if map.keys().all(is_id) => map.keys().cloned().collect(),
        _ => Vec::new(),
    }
}
