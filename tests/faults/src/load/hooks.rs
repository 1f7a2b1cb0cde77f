//! Receives webhooks. The platform records a webhook together with a run's end, so the webhooks show how often a run
//! ended.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Result, io};

type Reported = Arc<Mutex<HashMap<String, HashSet<String>>>>;

/// The receiver of webhooks.
pub(crate) struct Hooks {
    pub(crate) url: String,
    reported: Reported,
    _task: AbortOnDropHandle<()>,
}

impl Hooks {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io("webhooks"))?;
        let port = listener.local_addr().map_err(io("webhooks"))?.port();
        let reported = Reported::default();
        let router = axum::Router::new().route("/", post(receive)).with_state(Arc::clone(&reported));
        let task = tokio::spawn(async move {
            // The server ends with this program.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url: format!("http://127.0.0.1:{port}/"), reported, _task: AbortOnDropHandle::new(task) })
    }

    /// The end statuses of each run, as its webhooks reported them. A webhook may arrive several times, but all must
    /// report the same status.
    pub(crate) fn reported(&self) -> HashMap<String, HashSet<String>> {
        self.reported.lock().clone()
    }
}

async fn receive(State(reported): State<Reported>, Json(run): Json<Value>) {
    if let (Some(run_id), Some(status), Some(at)) =
        (text(&run, "run_id"), text(&run, "status"), text(&run, "run_ended_at"))
    {
        reported.lock().entry(run_id).or_default().insert(format!("{status} at {at}"));
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}
