//! Two users and an admin call the service through its router.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use auth::{Claims, Signer};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

struct Service {
    router: Router,
    signer: Signer,
    stop: CancellationToken,
}

impl Service {
    async fn start() -> Self {
        let (signer, stop) = (Signer::new(b"a secret of the tests").unwrap(), CancellationToken::new());
        Self { router: auth::service(signer.clone(), stop.clone()).await.unwrap(), signer, stop }
    }

    fn token(&self, user: &str, admin: bool, expires_at: i64) -> String {
        self.signer.sign(&Claims { user: user.to_owned(), admin, expires_at }).unwrap()
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn only_good_tokens_let_in() {
    let service = Service::start().await;
    let good = service.token("ada", false, i64::MAX);
    let expired = service.token("ada", false, 0);
    let foreign = Signer::new(b"another secret").unwrap();
    let foreign = foreign.sign(&Claims { user: "ada".to_owned(), admin: true, expires_at: i64::MAX }).unwrap();
    assert_eq!(service.send(&good, "GET", "/me", json!({})).await, (200, "ada".to_owned()));
    for (token, why) in [
        (expired.as_str(), "The token has expired"),
        (foreign.as_str(), "The token has no valid signature"),
        (&good[1..], "The token has no valid signature"),
        ("", "The token has no valid signature"),
    ] {
        let refused = (401, json!({"detail": why}).to_string());
        assert_eq!(service.send(token, "GET", "/me", json!({})).await, refused);
        assert_eq!(service.send(token, "POST", "/threads", json!({})).await, refused);
    }
}

#[tokio::test]
async fn new_resources_belong_to_their_creators() {
    let service = Service::start().await;
    let (ada, bob) = (service.token("ada", false, i64::MAX), service.token("bob", false, i64::MAX));
    let admin = service.token("eve", true, i64::MAX);
    let (_, thread) = service.send(&ada, "POST", "/threads", json!({})).await;
    let thread: Value = serde_json::from_str(&thread).unwrap();
    assert_eq!(thread["metadata"], json!({"owner": "ada"}));
    let path = format!("/threads/{}", thread["thread_id"].as_str().unwrap());
    for (token, status) in [(&ada, 200), (&bob, 404), (&admin, 200)] {
        assert_eq!(service.send(token, "GET", &path, json!({})).await.0, status);
    }
    assert_eq!(service.send(&bob, "POST", "/threads/search", json!({})).await.1, "[]");
    let run = json!({"assistant_id": "who", "input": {}});
    assert_eq!(service.send(&bob, "POST", &format!("{path}/runs/wait"), run.clone()).await.0, 404);
    let (_, values) = service.send(&ada, "POST", &format!("{path}/runs/wait"), run).await;
    let values: Value = serde_json::from_str(&values).unwrap();
    assert_eq!(values["user"]["identity"], "ada");
}

#[tokio::test]
async fn each_user_has_a_part_of_the_store() {
    let service = Service::start().await;
    let (ada, bob) = (service.token("ada", false, i64::MAX), service.token("bob", false, i64::MAX));
    let item = json!({"namespace": ["notes"], "key": "k", "value": {"a": 1}});
    assert_eq!(service.send(&ada, "PUT", "/store/items", item).await.0, 204);
    let get = "/store/items?namespace=notes&key=k";
    assert!(service.send(&ada, "GET", get, json!({})).await.1.contains(r#""namespace":["ada","notes"]"#));
    assert_eq!(service.send(&bob, "GET", get, json!({})).await.1, "null");
}
