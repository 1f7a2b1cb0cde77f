//! Tests of how processes end, and of the runs in flight at that time.

use rustix::process::Signal;
use serde_json::json;

use crate::platform::Platform;
use crate::program::until;

#[tokio::test]
async fn a_runner_that_is_killed_loses_no_run() {
    let platform = Platform::new().await;
    let ((first, a), (second, b)) = tokio::join!(platform.runner(&[]), platform.runner(&[]));
    // The lease is so long that its expiry cannot hand a run back during the test.
    let worker = platform.worker(&[&a, &b], &["--lease-seconds", "3600"]).await;
    let (server, client) = platform.api(&[&a, &b]).await;

    let body = json!({"assistant_id": "counter", "input": {"log": ["begun"]}});
    assert_eq!(client.post("/runs/wait", body).await.unwrap()["log"], json!(["begun", "counted"]));
    let health = client.get("/readyz").await.unwrap();
    let services = ["database", "deployments", "redis", "runners"];
    assert!(services.iter().all(|name| health["services"][name] == "healthy"), "{health}");

    let runs = [client.begin("slow", json!({"seconds": 6})).await, client.begin("slow", json!({"seconds": 6})).await];
    for (run, _) in &runs {
        client.until_status(run, "running").await;
        until(async || started(&client, run).await.then_some(())).await;
    }
    first.signal(Signal::KILL);
    for (run, thread) in &runs {
        client.until_status(run, "success").await;
        let state = client.get(&format!("{thread}/state")).await.unwrap();
        assert_eq!(state["values"]["log"], json!(["slept"]), "it went on from its last checkpoint");
    }
    assert!(worker.log().contains("a runner is gone"), "{}", worker.log());
    drop((server, worker, second, first));
    platform.remove().await;
}

/// Whether the run's graph has begun: the thread's state shows the node `sleep` as the next one.
async fn started(client: &crate::platform::Client, run: &str) -> bool {
    let thread = run.split("/runs/").next().unwrap_or_default();
    client.get(&format!("{thread}/state")).await.is_ok_and(|state| state["next"] == json!(["sleep"]))
}

#[tokio::test]
async fn processes_end_in_order() {
    let platform = Platform::new().await;
    let ((mut first, a), (second, b)) = tokio::join!(platform.runner(&[]), platform.runner(&[]));
    let mut worker = platform.worker(&[&a, &b], &["--grace-seconds", "0"]).await;
    let (mut server, client) = platform.api(&[&a, &b]).await;

    // Both runners have runs. The runner that receives the signal lets its run end.
    let (one, _) = client.begin("slow", json!({"seconds": 3})).await;
    let (two, _) = client.begin("slow", json!({"seconds": 3})).await;
    client.until_status(&one, "running").await;
    client.until_status(&two, "running").await;
    first.signal(Signal::TERM);
    first.says("stopping").await;
    let body = json!({"assistant_id": "counter", "input": {"log": []}});
    assert_eq!(client.post("/runs/wait", body).await.unwrap()["log"], json!(["counted"]));
    client.until_status(&one, "success").await;
    client.until_status(&two, "success").await;
    assert!(first.end().await.success());

    // A worker without a grace period hands its run back, and another worker takes the run over.
    let (run, thread) = client.begin("slow", json!({"seconds": 3})).await;
    client.until_status(&run, "running").await;
    worker.signal(Signal::TERM);
    assert!(worker.end().await.success());
    let other = platform.worker(&[&b], &[]).await;
    client.until_status(&run, "success").await;
    assert_eq!(client.get(&format!("{thread}/state")).await.unwrap()["values"]["log"], json!(["slept"]));

    // After the signal, an API server still answers requests that it has already received.
    let (run, _) = client.begin("slow", json!({"seconds": 2})).await;
    client.until_status(&run, "running").await;
    let join = format!("{run}/join");
    let joined = client.get(&join);
    let ended = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        server.signal(Signal::TERM);
        server.end().await
    };
    let (joined, ended) = tokio::join!(joined, ended);
    assert_eq!(joined.unwrap()["log"], json!(["slept"]));
    assert!(ended.success());
    drop((other, second));
    platform.remove().await;
}

#[tokio::test]
async fn graphs_see_nothing_of_the_platforms_secrets() {
    let platform = Platform::new().await;
    let (runner, address) = platform.runner(&["--deployment", "acme/web/prod"]).await;
    let address = format!("acme/web/prod=tcp://{address}");
    let worker = platform.worker(&[&address], &[]).await;
    let (server, client) = platform.api(&[&address]).await;
    let body = json!({"assistant_id": "surroundings", "input": {"log": []}});
    assert_eq!(client.post("/runs/wait", body.clone()).await.unwrap_err(), 503, "the runner is another deployment's");
    let seen = client.post("/d/acme.web.prod/runs/wait", body).await.unwrap();
    let names: Vec<_> = seen["log"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert!(names.contains(&"PATH"));
    let secret =
        ["LANGOPEN_RUNNER_TOKEN", "DATABASE_URI", "LANGOPEN_DATABASE_URL", "COPY_OF_THE_ADDRESS", "PGPASSWORD"];
    assert!(!names.iter().any(|name| secret.contains(name)), "{names:?}");
    assert!(names.contains(&"DATABASE_URL"), "the application's own reaches it: {names:?}");
    drop((server, worker, runner));
    platform.remove().await;
}
