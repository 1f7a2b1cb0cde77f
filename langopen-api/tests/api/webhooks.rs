//! Runs that name a webhook.

use langopen_core::Outbox;
use langopen_core::webhook::UrlPolicy;
use serde_json::json;

use crate::harness::{quick, server_with};

#[tokio::test]
async fn only_deliverable_webhooks_are_accepted() {
    let settings = quick().with_webhooks(Some(UrlPolicy::default()));
    let server = server_with(|server| server.with_settings(settings)).await;
    let thread = server.thread().await;
    for path in
        [format!("/threads/{thread}/runs"), "/runs".to_owned(), "/runs/wait".to_owned(), "/runs/stream".to_owned()]
    {
        for (url, detail) in [
            ("ftp://x", "Webhook host blocked: scheme 'ftp' not allowed"),
            ("http://169.254.169.254/x", "Webhook host blocked: blocked IP range"),
            (
                "http://localhost:1/x",
                "Webhook host blocked: loopback addresses are not allowed (webhooks.url.disable_loopback)",
            ),
            ("/hook", "Webhook host blocked: relative URLs are not allowed (webhooks.url.disable_loopback)"),
            ("", "webhook: must have 1 to 65536 characters"),
        ] {
            let answer = server.post(&path, json!({"assistant_id": "echo", "webhook": url})).await;
            assert_eq!((answer.status.as_u16(), answer.detail().as_str()), (422, detail), "{path} {url}");
        }
    }
    let url = "https://hooks.example/a?b=1";
    let run = server.post("/runs/batch", json!([{"assistant_id": "echo", "webhook": url}])).await.ok();
    assert_eq!(run[0]["kwargs"]["webhook"], url);
    let started = std::time::Instant::now();
    loop {
        let due = server.memory.claim_deliveries(10, std::time::Duration::from_secs(60)).await.unwrap().deliveries;
        if let [delivery] = &due[..] {
            assert_eq!(delivery.url, url);
            let told: serde_json::Value = delivery.payload.decode().unwrap();
            assert_eq!((&told["run_id"], &told["status"]), (&run[0]["run_id"], &json!("success")));
            break;
        }
        assert!(started.elapsed().as_secs() < 30, "the webhook must report the run's end in time");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
