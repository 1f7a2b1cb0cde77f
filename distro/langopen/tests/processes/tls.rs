//! Mutual TLS between runners and their clients.

use std::path::Path;

use langopen_test_services::Authority;
use serde_json::json;

use crate::platform::Platform;
use crate::program::until;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn only_who_shows_a_certificate_reaches_a_runner() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (ca, (cert, key)) = (authority.ca(), authority.issue("runner"));
    let platform = Platform::new().await;
    let (runner, address) =
        platform.runner(&["--tls-cert", text(&cert), "--tls-key", text(&key), "--tls-client-ca", text(&ca)]).await;
    let address = format!("tls://{address}");

    let (cert, key) = authority.issue("platform");
    let known = ["--runner-ca", text(&ca), "--runner-cert", text(&cert), "--runner-key", text(&key)];
    let (server, client) = platform.api_with(&[&address], &known).await;
    let body = json!({"assistant_id": "counter", "input": {"log": []}});
    let waiting = client.post("/runs/wait", body);

    // The token alone is not sufficient, and neither is a certificate of another CA.
    let (cert, key) = stranger.issue("worker");
    let others = ["--runner-ca", text(&ca), "--runner-cert", text(&cert), "--runner-key", text(&key)];
    let refused = async {
        for arguments in [&others[..2], &others[..]] {
            let worker = platform.worker(&[&address], arguments).await;
            until(async || worker.log().contains("a runner cannot be used").then_some(())).await;
        }
        platform.worker(&[&address], &known).await
    };
    let (answer, worker) = tokio::join!(waiting, refused);
    assert_eq!(answer.unwrap()["log"], json!(["counted"]));
    drop((server, worker, runner));
    platform.remove().await;
}
