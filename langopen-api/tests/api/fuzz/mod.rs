//! No request makes the server panic or return an internal error. The tests break every body, header, query and path of
//! every operation, and every command of the other protocols, in every way that their types allow.

mod protocols;
mod values;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::Request;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::coverage::{Ids, body_of, operations, server_of_alice};
use crate::harness::{NOWHERE, Server};

use values::{HEADER_VALUES, HEADERS, QUERIES, broken, spoiled, whole_body, wrong};

/// Messages of panics in the crates. Panics in files of tests do not count.
static PANICS: LazyLock<Arc<Mutex<Vec<String>>>> = LazyLock::new(|| {
    let panics = Arc::new(Mutex::new(Vec::new()));
    let (caught, before) = (Arc::clone(&panics), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_none_or(|location| !location.file().contains("/tests/")) {
            caught.lock().push(panic.to_string());
        }
        before(panic);
    }));
    panics
});

fn no_panics(what: &str) {
    let panics = std::mem::take(&mut *PANICS.lock());
    assert!(panics.is_empty(), "{what}: {panics:?}");
}

/// Of the spoiled bodies, every eighth, another eighth for each text: all of them take many minutes. With `FUZZ=all` in
/// the environment, all of them.
fn sample(bodies: Vec<String>, turn: usize) -> impl Iterator<Item = String> {
    let every = if std::env::var("FUZZ").is_ok_and(|wanted| wanted == "all") { 1 } else { 8 };
    bodies.into_iter().skip(turn % every).step_by(every)
}

/// Sends a request and checks that the server answers it. Returns the status, and the text of a failure.
async fn answered(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &[u8])],
    body: Vec<u8>,
) -> (u16, String) {
    LazyLock::force(&PANICS);
    let mut request = Request::builder().method(method).uri(path).header("x-user", "alice");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // HTTP cannot express some inputs, so the server never gets them.
    let Ok(request) = request.body(Body::from(body.clone())) else { return (0, String::new()) };
    let answer = tokio::time::timeout(Duration::from_secs(20), server.router.clone().oneshot(request)).await;
    let request = || {
        let body = String::from_utf8_lossy(&body).into_owned();
        format!("{method} {path} {headers:?} {}", body.chars().take(400).collect::<String>())
    };
    let answer = answer.unwrap_or_else(|_| panic!("no answer: {}", request())).unwrap();
    no_panics(&request());
    let status = answer.status().as_u16();
    let text = match status {
        400.. => String::from_utf8_lossy(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).into_owned(),
        _ => String::new(),
    };
    assert!(status < 500 || status == 501, "{status} {text}: {}", request());
    (status, text)
}

/// The operations. Those that delete resources of the others come last.
async fn all_operations(server: &Server, ids: &Ids) -> Vec<(String, String, String)> {
    let mut all = operations(server, ids).await;
    let removes = |id: &str| id.starts_with("delete_") || id.starts_with("prune_");
    all.sort_by_key(|(_, _, operation)| removes(operation));
    all
}

#[tokio::test]
async fn bodies() {
    let (server, ids) = server_of_alice().await;
    let document = server.get("/openapi.json").await.ok();
    let schemas: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|methods| methods.as_object().unwrap().values())
        .collect();
    for (method, path, operation) in all_operations(&server, &ids).await {
        let schema = schemas.iter().find(|schema| schema["operationId"] == json!(operation)).unwrap();
        let schema = &schema["requestBody"]["content"]["application/json"]["schema"];
        let base = body_of(&operation, &ids);
        for body in broken() {
            answered(&server, &method, &path, &[], body).await;
        }
        if schema.is_null() {
            continue;
        }
        let whole = whole_body(&document, schema, &base, 2);
        for (turn, text) in wrong().into_iter().enumerate() {
            let mut bodies = spoiled(&base, &text, 2);
            bodies.extend(spoiled(&whole, &text, 1));
            for body in sample(bodies, turn) {
                let (status, answer) = answered(&server, &method, &path, &[], body.clone().into_bytes()).await;
                // A number that no double holds is refused in every field, even where the server stores the field's
                // text unchanged.
                if body.contains("1e999") || body.contains(&"9".repeat(400)) {
                    let json_rpc = ["post_a2a"].contains(&&*operation);
                    assert!(status >= 400 || json_rpc, "{operation} {body}: {status} {answer}");
                }
            }
        }
    }
}

#[tokio::test]
async fn headers_queries_and_paths() {
    let (server, ids) = server_of_alice().await;
    let document = server.get("/openapi.json").await.ok();
    // Each operation gets every fourth value, another fourth than the operation before it.
    let every = if std::env::var("FUZZ").is_ok_and(|wanted| wanted == "all") { 1 } else { 4 };
    for (turn, (method, path, operation)) in all_operations(&server, &ids).await.into_iter().enumerate() {
        let target = Target { server: &server, method: &method, path: &path, body: body_of(&operation, &ids) };
        target.headers(turn % every, every).await;
        target.queries(&query_names(&document, &operation), turn % every, every).await;
        target.paths().await;
    }
}

/// The names of an operation's query parameters, and names that many operations read.
fn query_names(document: &Value, operation: &str) -> Vec<String> {
    let methods =
        document["paths"].as_object().unwrap().values().flat_map(|methods| methods.as_object().unwrap().values());
    let of_operation = methods.filter(|each| each["operationId"] == json!(operation));
    let parameters = of_operation.flat_map(|each| each["parameters"].as_array()).flatten();
    let named = parameters.filter(|each| each["in"] == "query").filter_map(|each| each["name"].as_str());
    let common = ["limit", "offset", "stream_mode", "wait", "action", "namespace", "before"];
    named.chain(common).map(str::to_owned).collect()
}

/// An operation with a valid body.
struct Target<'a> {
    server: &'a Server,
    method: &'a str,
    path: &'a str,
    body: Value,
}

impl Target<'_> {
    async fn send(&self, path: &str, headers: &[(&str, &[u8])]) {
        answered(self.server, self.method, path, headers, self.body.to_string().into_bytes()).await;
    }

    async fn headers(&self, first: usize, every: usize) {
        let long = "9".repeat(5000);
        let values: Vec<&[u8]> = HEADER_VALUES.iter().copied().chain([long.as_bytes()]).collect();
        for name in HEADERS {
            for value in values.iter().skip(first).step_by(every) {
                self.send(self.path, &[(name, value)]).await;
            }
        }
    }

    async fn queries(&self, names: &[String], first: usize, every: usize) {
        for name in names {
            for value in QUERIES.iter().skip(first).step_by(every) {
                self.send(&format!("{}?{name}={value}&{name}={value}", self.bare()), &[]).await;
            }
        }
    }

    /// Replaces each step of the path in turn.
    async fn paths(&self) {
        let long = "9".repeat(5000);
        let steps: Vec<_> = self.bare().split('/').collect();
        for at in 1..steps.len() {
            for value in
                ["", "x", ".", "..%2f", "%00", "%FF", "a%2Fb", "%C3%A9", "\\evil.example", "%5cevil", NOWHERE, &long]
            {
                let mut steps = steps.clone();
                steps[at] = value;
                for end in ["", "/", "//"] {
                    self.send(&format!("{}{end}", steps.join("/")), &[]).await;
                }
            }
        }
    }

    /// The path without its query.
    fn bare(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}
