//! `/metrics`: the figures of the queue, of the workers, and of the embedder's recorder.

use langopen_api::{Features, Metrics, Settings, WorkerCounts};
use serde_json::json;

use crate::harness::{server, server_with};

#[tokio::test]
async fn figures_come_as_json() {
    let server = server().await;
    let answer = server.get("/metrics?format=json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let expected = json!({
        "queue": {
            "n_pending": 0,
            "pending_runs_wait_time_max_secs": null,
            "pending_runs_wait_time_med_secs": null,
            "pending_unblocked_runs_wait_time_max_secs": null,
            "n_running": 0,
        },
        "api": {"http_requests_total": []},
        "workers": {"max": 0, "active": 0, "available": 0},
    });
    assert_eq!(answer.ok(), expected);
    let thread = server.thread().await;
    server.slow_run(&thread, 5_000).await;
    let waiting = json!({"assistant_id": "echo", "after_seconds": 60});
    server.post(&format!("/threads/{thread}/runs"), waiting).await.ok();
    for _ in 0..1000 {
        let queue = server.get("/metrics?format=json").await.ok()["queue"].clone();
        if queue["n_running"] == 1 {
            // A run scheduled for later counts as pending, but does not wait yet.
            assert_eq!((&queue["n_pending"], &queue["pending_runs_wait_time_max_secs"]), (&json!(1), &json!(null)));
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    panic!("the run does not start");
}

#[tokio::test]
async fn text_includes_the_recorders_metrics() {
    let metrics = Metrics::default()
        .with_exposition(|| "# TYPE mine counter\nmine 3\n\n".to_owned())
        .with_workers(|| WorkerCounts { max: 4, active: 1 })
        .with_prefix("my-team_");
    let server = server_with(|server| server.with_metrics(metrics)).await;
    for path in ["/metrics", "/metrics?format=prometheus"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; version=1.0.0; charset=utf-8");
        for line in [
            "mine 3",
            "# TYPE my_team_workers_max gauge",
            "my_team_workers_max 4",
            "my_team_workers_active 1",
            "my_team_workers_available 3",
            "langopen_queue_pending_runs 0",
        ] {
            assert!(answer.text.lines().any(|each| each == line), "{line} in {}", answer.text);
        }
    }
    assert_eq!(
        server.get("/metrics?format=json").await.ok()["workers"],
        json!({"max": 4, "active": 1, "available": 3})
    );
}

#[tokio::test]
async fn an_unknown_format_is_refused_and_meta_can_be_off() {
    let answer = server().await.get("/metrics?format=xml").await;
    assert_eq!(answer.status, 422);
    assert!(answer.detail().contains("format"), "{}", answer.text);
    let settings = Settings::default().with_features(Features { meta: false, ..Features::default() });
    let server = server_with(|server| server.with_settings(settings)).await;
    assert_eq!(server.get("/metrics").await.status, 404);
}
