//! The limits of deployments.

use langopen_core::model::{DeploymentLimits, DeploymentSpec};
use serde_json::json;

use super::bench::Bench;
use crate::harness::NOWHERE;
use crate::protocol_socket::listen;

fn limits(limits: DeploymentLimits) -> DeploymentSpec {
    DeploymentSpec { limits, ..DeploymentSpec::default() }
}

#[tokio::test]
async fn more_requests_than_a_deployment_takes_are_refused() {
    let bench = Bench::new().await;
    let key = bench.admin("acme/web/*").await;
    bench.put("acme/web/prod", limits(DeploymentLimits::default().with_max_requests_per_second(Some(1)))).await;
    let refused = loop {
        // Repeat until two requests fall into the same second.
        let answer = bench.send(&key, "POST", "/d/prod/threads/search", json!({})).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"), "{}", refused.text);
    assert!(refused.detail().contains("max_requests_per_second"), "{}", refused.text);
    assert_eq!(
        bench.status("lok_unknown", "/d/acme.web.prod/threads/search").await,
        401,
        "requests without a valid key do not count"
    );
    for _ in 0..5 {
        assert_eq!(bench.status(&key, "/d/test/threads/search").await, 200, "another deployment has no limit");
    }
    bench.put("acme/web/prod", DeploymentSpec::default()).await;
    for _ in 0..5 {
        assert_eq!(bench.status(&key, "/d/prod/threads/search").await, 200, "the limit is gone");
    }
}

#[tokio::test]
async fn commands_over_a_socket_are_requests_too() {
    let bench = Bench::new().await;
    let key = bench.admin("acme/web/*").await;
    let limit = DeploymentLimits::default().with_max_requests_per_second(Some(1));
    bench.put("acme/web/prod", limits(limit)).await;
    let port = listen(bench.server).await;
    let mut socket = port.open_at("/d/prod", NOWHERE, &[("x-api-key", &key)]).await;
    let refused = loop {
        // Repeat until two commands fall into the same second.
        let answer = socket.ask("agent.getTree", json!({})).await;
        if answer["type"] == "error" && answer["message"].as_str().is_some_and(|text| text.starts_with("429")) {
            break answer;
        }
    };
    assert_eq!((&refused["id"], &refused["error"]), (&json!(9), &json!("unknown_error")), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("max_requests_per_second"), "{refused}");
    // The connection stays open.
    while socket.ask("subscription.subscribe", json!({"channels": ["values"]})).await["type"] != "success" {}
}

#[tokio::test]
async fn more_runs_than_a_deployment_may_have_are_refused() {
    let bench = Bench::new().await;
    let key = bench.admin("acme/web/*").await;
    bench.put("acme/web/prod", limits(DeploymentLimits::default().with_max_runs_in_flight(Some(2)))).await;
    let run = json!({"assistant_id": "echo", "input": {}});
    for _ in 0..2 {
        bench.send(&key, "POST", "/d/prod/runs", run.clone()).await.ok();
    }
    for path in ["/d/prod/runs", "/d/prod/runs/wait", "/d/prod/runs/stream"] {
        let refused = bench.send(&key, "POST", path, run.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "5"), "{}", refused.text);
        assert!(refused.detail().contains("max_runs_in_flight"), "{}", refused.text);
    }
    bench.send(&key, "POST", "/d/test/runs", run.clone()).await.ok();
    let cancel = json!({"status": "all"});
    assert_eq!(bench.send(&key, "POST", "/d/prod/runs/cancel", cancel).await.status, 204);
    bench.send(&key, "POST", "/d/prod/runs", run).await.ok();
}
