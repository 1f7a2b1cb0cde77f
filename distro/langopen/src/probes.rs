//! Answers the probes of orchestrators: liveness, readiness and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::metrics::Recorder;

/// How long a check of a service may take.
const PATIENCE: Duration = Duration::from_secs(2);

type Ask = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The checks that decide whether a process is ready.
#[derive(Default)]
pub(crate) struct Readiness {
    draining: AtomicBool,
    parts: Vec<Part>,
}

struct Part {
    name: &'static str,
    /// Whether the process is unready while this check fails.
    needed: bool,
    ask: Ask,
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    /// Whether the process is shutting down.
    draining: bool,
    /// For each service `healthy`, or the reason of the failure.
    services: BTreeMap<&'static str, String>,
}

impl Readiness {
    /// Adds a check that the process must pass to be ready.
    #[must_use]
    pub(crate) fn needs<F>(self, name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.with(name, true, ask)
    }

    /// Adds a check that is reported, but does not affect readiness.
    #[must_use]
    pub(crate) fn likes<F>(self, name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.with(name, false, ask)
    }

    fn with<F>(mut self, name: &'static str, needed: bool, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.parts.push(Part { name, needed, ask: Box::new(move || ask().boxed()) });
        self
    }

    /// Makes the process unready from now on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn report(&self) -> Report {
        let answers = join_all(self.parts.iter().map(async |part| {
            let answer = tokio::time::timeout(PATIENCE, (part.ask)()).await;
            (part, answer.unwrap_or_else(|_| Err("it does not answer".to_owned())))
        }))
        .await;
        let draining = self.draining.load(Ordering::Relaxed);
        let ready = !draining && answers.iter().all(|(part, answer)| answer.is_ok() || !part.needed);
        let told = |answer: Result<(), String>| answer.err().unwrap_or_else(|| "healthy".to_owned());
        let services = answers.into_iter().map(|(part, answer)| (part.name, told(answer))).collect();
        Report { ready, draining, services }
    }
}

/// `/healthz` and `/readyz`.
pub(crate) fn router(readiness: Arc<Readiness>) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(readiness)
}

async fn alive() -> Json<serde_json::Value> {
    Json(serde_json::json!({"ok": true}))
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> Response {
    let report = readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

/// `/metrics`.
pub(crate) fn exposition(recorder: &Recorder) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render()).into_response()
}

/// Serves `/healthz`, `/readyz`, `/ok` and `/metrics` for a process that has no other HTTP port.
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: Arc<Readiness>,
    recorder: Recorder,
    stop: CancellationToken,
) {
    let metrics = move || std::future::ready(exposition(&recorder));
    let router = router(readiness).route("/ok", get(alive)).route("/metrics", get(metrics));
    let served = axum::serve(listener, router).into_future();
    tokio::select! {
        served = served => if let Err(error) = served {
            error!(%error, "the server for health and metrics has stopped");
        },
        () = stop.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_needed_makes_unready() {
        let likes = Readiness::default()
            .needs("database", || async { Ok(()) })
            .likes("redis", || async { Err("gone".to_owned()) });
        let report = likes.report().await;
        assert!(report.ready && report.services["redis"] == "gone" && report.services["database"] == "healthy");
        likes.drain();
        assert!(!likes.report().await.ready);
        let needs = Readiness::default().needs("database", || async { Err("gone".to_owned()) });
        assert!(!needs.report().await.ready);
    }
}
