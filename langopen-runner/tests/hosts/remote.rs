//! The same hosts behind runners, over TCP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use langopen_core::auth::{Auth, Credentials, Refusal};
use langopen_core::executor::{Executor, HistoryRequest, RunOutput, RunResultStatus};
use langopen_core::model::ItemReadOptions;
use langopen_core::{ErrorKind, JsonMap, RawJson, Tenant};
use langopen_runner::config::{AppSettings, Secret};
use langopen_runner::{
    AppAuth, ClientTls, HostPool, PoolSettings, RunnerError, RunnerService, RunnerServiceSettings, RunnerSet,
    RunnerSetSettings, RunnerUrl, ServerTls, WebAnswer, WebApi, WebBody, WebCall,
};
use langopen_test_services::Authority;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Bench, bearer, interrupt, settings, to_the_end};

const TOKEN: &str = "only for these tests";

pub(crate) fn service(tenant: &str) -> RunnerServiceSettings {
    RunnerServiceSettings {
        name: "runner".to_owned(),
        tenant: Tenant::parse(tenant).unwrap(),
        token: Some(Secret::from(TOKEN.to_owned())),
        tls: None,
        app: AppSettings::default(),
        webhook_headers: BTreeMap::from([("x-secret".to_owned(), Secret::from("hush".to_owned()))]),
    }
}

/// A runner, and its address without the scheme.
pub(crate) async fn runner(pool: PoolSettings, service: RunnerServiceSettings) -> (RunnerService, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (RunnerService::start(listener, pool, service).await.unwrap(), address)
}

pub(crate) fn client(urls: &str) -> RunnerSetSettings {
    RunnerSetSettings::default()
        .with_urls(RunnerUrl::list(urls).unwrap())
        .with_token(Some(Secret::from(TOKEN.to_owned())))
        .with_name("test".to_owned())
}

/// The runners of a deployment, once one has connected.
pub(crate) async fn pool(set: &RunnerSet, tenant: &str) -> Arc<HostPool> {
    let tenant = Tenant::parse(tenant).unwrap();
    let mut announced = set.announced();
    loop {
        if let Some(pool) = set.pool(&tenant) {
            return Arc::new(pool);
        }
        announced.changed().await.unwrap();
    }
}

pub(crate) const TENANT: &str = "acme/web/prod";

#[tokio::test]
async fn a_runner_does_over_the_network_what_hosts_do_here() {
    let settings = PoolSettings {
        auth: Some("./login.py:auth".to_owned()),
        web_app: Some("./web.py:app".to_owned()),
        ..settings(2).await
    };
    let (runner, address) = runner(settings, service(TENANT)).await;
    let set = RunnerSet::connect(client(&format!("{TENANT}=tcp://{address}"))).unwrap();
    let pool = pool(&set, TENANT).await;
    let bench = Bench::of(pool.clone(), Tenant::parse(TENANT).unwrap());

    let thread_id = bench.thread().await;
    for turn in 1..=2 {
        let (outputs, _cancel) = bench.run("counter", thread_id, json!({"log": []})).await;
        let (names, result) = to_the_end(outputs).await.unwrap();
        assert_eq!((names.len(), result.status), (2, RunResultStatus::Success));
        let values: Value = result.state.unwrap().values.decode().unwrap();
        assert_eq!(values["log"].as_array().unwrap().len(), turn);
    }
    let config: RawJson = json!({"configurable": {"thread_id": thread_id}}).into();
    let request = HistoryRequest::new("counter", config, 100);
    let history = set.state_history(bench.context.clone(), request).await.unwrap();
    assert_eq!(history.len(), 6, "three checkpoints for each of two runs");

    let (outputs, _cancel) = bench.run("remember", thread_id, json!({"log": []})).await;
    assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    let item = bench.context.item(&["notes".to_owned()], "one", ItemReadOptions::default()).await.unwrap();
    assert_eq!(item.unwrap().value.decode::<Value>().unwrap(), json!({"text": "kept"}));

    let (outputs, cancel) = bench.run("slow", thread_id, json!({"seconds": 600})).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel.send_replace(interrupt());
    assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Cancelled);

    let auth = AppAuth::of(&pool).unwrap();
    let refused = auth.authenticate(&bearer("")).await.unwrap_err();
    assert_eq!(Refusal::of(&refused), Some(&Refusal::new(401, "No token")));
    let alice = Credentials { tenant: Some(Tenant::parse(TENANT).unwrap()), ..bearer("alice") };
    let alice = auth.authenticate(&alice).await.unwrap();
    assert_eq!((alice.identity.as_str(), alice.tenant.as_str()), ("alice", TENANT));

    // The body is longer than its credit.
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let pieces: Vec<_> = sent.chunks(10_000).map(|piece| Ok(piece.to_vec().into())).collect();
    let body: WebBody = stream::iter(pieces).boxed();
    let request = http::Request::post("/anything").body(body).unwrap();
    let call = WebCall {
        request,
        has_body: true,
        unknown: true,
        authenticate: false,
        user: None,
        root_path: String::new(),
        client: None,
        tenant: None,
    };
    let response = pool.web(call, Arc::new(NoApi)).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["x-length"].as_bytes()), (200, &b"1000000"[..]));
    let body: Vec<_> = response.into_body().map(|piece| piece.unwrap()).collect().await;
    let received: Vec<u8> = body.concat();
    assert!(received.iter().eq(sent.iter().rev()), "every byte came back, the last one first");

    let announced = set.announcement(&Tenant::parse(TENANT).unwrap()).unwrap();
    assert!(announced.webhook_headers.is_empty(), "secrets are for those who need them");
    set.shut_down().await;
    runner.shut_down().await;
}

struct NoApi;

#[async_trait]
impl WebApi for NoApi {
    async fn call(&self, _: http::Request<WebBody>) -> WebAnswer {
        let body: WebBody = stream::empty().boxed();
        WebAnswer { response: http::Response::builder().status(404).body(body).unwrap(), unknown: true }
    }

    async fn authenticate(&self, _: http::Request<()>) -> Result<JsonMap, http::Response<WebBody>> {
        Ok(JsonMap::new())
    }
}

#[tokio::test]
async fn a_run_that_nobody_reads_waits_and_a_host_that_dies_loses_only_its_own() {
    let (runner, address) = runner(settings(1).await, service(TENANT)).await;
    let set = RunnerSet::connect(client(&format!("{TENANT}=tcp://{address}"))).unwrap();
    let bench = Bench::of(pool(&set, TENANT).await, Tenant::parse(TENANT).unwrap());
    let (mut unread, _cancel) = bench.run("flood", bench.thread().await, json!({"log": []})).await;
    assert!(matches!(unread.next().await.unwrap().unwrap(), RunOutput::Event { .. }));
    for _ in 0..3 {
        let (outputs, _cancel) = bench.run("counter", bench.thread().await, json!({"log": []})).await;
        assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    }
    let (names, result) = to_the_end(unread).await.unwrap();
    assert_eq!(result.status, RunResultStatus::Success);
    assert_eq!(names.iter().filter(|name| *name == "custom").count(), 200, "every event came in the end");

    let (slow, _cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 600})).await;
    let (deadly, _cancel) = bench.run("deadly", bench.thread().await, json!({"log": []})).await;
    let (slow, deadly) = tokio::join!(to_the_end(slow), to_the_end(deadly));
    for lost in [slow, deadly] {
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    // The connection is still open, and the host restarts.
    let (outputs, _cancel) = bench.run("counter", bench.thread().await, json!({"log": []})).await;
    assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    set.shut_down().await;
    runner.shut_down().await;
}

#[tokio::test]
async fn runs_go_to_the_runners_of_their_deployment_and_leave_one_that_ends() {
    let other = "acme/web/staging";
    let ((first, a), (second, b), (third, c)) = tokio::join!(
        async { runner(settings(1).await, service(TENANT)).await },
        async { runner(settings(1).await, service(TENANT)).await },
        async { runner(settings(1).await, RunnerServiceSettings { token: secret("other"), ..service(other) }).await },
    );
    let urls = format!("{TENANT}=tcp://{a},{TENANT}=tcp://{b},{other}=tcp://{c}");
    let tokens = BTreeMap::from([(Tenant::parse(other).unwrap(), Secret::from("other".to_owned()))]);
    let set = RunnerSet::connect(client(&urls).with_tokens(tokens)).unwrap();
    let bench = Bench::of(pool(&set, TENANT).await, Tenant::parse(TENANT).unwrap());
    let elsewhere = Bench::of(pool(&set, other).await, Tenant::parse(other).unwrap());
    set_has(&set, &[TENANT, other]).await;

    // Two runs of one deployment: one on each of its runners.
    let (one, _cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 600})).await;
    let (two, _cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 4})).await;
    let (one, two) = (tokio::spawn(to_the_end(one)), tokio::spawn(to_the_end(two)));
    tokio::time::sleep(Duration::from_millis(300)).await;

    // The second one drains: its run may continue, and new runs go to the first.
    let draining = async { second.drain(Duration::from_secs(600)).await };
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (outputs, _cancel) = bench.run("counter", bench.thread().await, json!({"log": []})).await;
        assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    };
    let (left, ()) = tokio::join!(draining, meanwhile);
    assert_eq!(left, 0);
    assert_eq!(two.await.unwrap().unwrap().1.status, RunResultStatus::Success);
    assert!(!one.is_finished());
    second.shut_down().await;

    // The first dies: its run fails at once, and no runner of the deployment is left. The other deployment's runs
    // continue.
    first.shut_down().await;
    assert_eq!(one.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    set_has(&set, &[other]).await;
    let (outputs, _cancel) = elsewhere.run("counter", elsewhere.thread().await, json!({"log": []})).await;
    assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    set.shut_down().await;
    third.shut_down().await;
}

/// Waits until the set can execute runs of exactly these deployments.
async fn set_has(set: &RunnerSet, tenants: &[&str]) {
    while set.tenants().unwrap().iter().map(Tenant::as_str).ne(tenants.iter().copied()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_runs_of_a_client_that_goes_away_are_cancelled() {
    let (runner, address) = runner(settings(1).await, service(TENANT)).await;
    let set = RunnerSet::connect(client(&format!("{TENANT}=tcp://{address}"))).unwrap();
    let bench = Bench::of(pool(&set, TENANT).await, Tenant::parse(TENANT).unwrap());
    let (outputs, _cancel) = bench.run("slow", bench.thread().await, json!({"seconds": 600})).await;
    let lost = tokio::spawn(to_the_end(outputs));
    tokio::time::sleep(Duration::from_millis(300)).await;
    set.shut_down().await;
    assert_eq!(lost.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(runner.drain(Duration::from_secs(300)).await, 0, "the run did not sleep to its end");
    runner.shut_down().await;
}

/// Waits until the set reports why it is not connected.
async fn failure(set: &RunnerSet) -> String {
    loop {
        if let Some(why) = set.failure() {
            return why;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn only_those_who_prove_themselves_are_served() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (cert, key) = authority.issue("runner");
    let tls = ServerTls { cert, key, client_ca: Some(authority.ca()) };
    let service = RunnerServiceSettings { tls: Some(tls), ..service(TENANT) };
    let (runner, address) = runner(settings(1).await, service).await;

    let identity = |authority: &Authority| Some(authority.issue("client"));
    let with = |ca: &Authority, identity, token: &str, scheme: &str| {
        client(&format!("{TENANT}={scheme}://{address}"))
            .with_tls(Some(ClientTls { ca: ca.ca(), identity }))
            .with_token(Some(Secret::from(token.to_owned())))
            .with_delivers_webhooks(true)
    };
    for (settings, says) in [
        (with(&authority, identity(&authority), "wrong", "tls"), "token"),
        (with(&authority, None, TOKEN, "tls"), "ertificate"),
        (with(&authority, identity(&stranger), TOKEN, "tls"), "UnknownCA"),
        (with(&stranger, identity(&authority), TOKEN, "tls"), "UnknownIssuer"),
        (with(&authority, identity(&authority), TOKEN, "tcp"), ""),
    ] {
        let set = RunnerSet::connect(settings).unwrap();
        let why = failure(&set).await;
        assert!(why.contains(says) && !why.contains(TOKEN), "{says}: {why}");
        assert!(!set.is_ready() && set.deployments().is_empty());
        set.shut_down().await;
    }
    let set = RunnerSet::connect(with(&authority, identity(&authority), TOKEN, "tls")).unwrap();
    let bench = Bench::of(pool(&set, TENANT).await, Tenant::parse(TENANT).unwrap());
    let (outputs, _cancel) = bench.run("flood", bench.thread().await, json!({"log": []})).await;
    assert_eq!(to_the_end(outputs).await.unwrap().1.status, RunResultStatus::Success);
    let announced = set.announcement(&Tenant::parse(TENANT).unwrap()).unwrap();
    assert_eq!(announced.webhook_headers["x-secret"].expose(), "hush");
    assert!(!format!("{announced:?}").contains("hush"));
    set.shut_down().await;
    runner.shut_down().await;
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::from(text.to_owned()))
}

/// A hostile graph of one deployment takes over its runner's port, with the token that it read, and claims another
/// deployment.
#[tokio::test]
async fn a_runner_gets_the_runs_of_no_deployment_but_its_urls() {
    use tokio::io::AsyncReadExt;

    let claimed = RunnerServiceSettings { token: secret("evil's own token"), ..service(TENANT) };
    let (runner, address) = runner(settings(1).await, claimed).await;
    let evil = "acme/web/evil";
    let token = |name: &str, token: &str| (Tenant::parse(name).unwrap(), Secret::from(token.to_owned()));
    let tokens = BTreeMap::from([token(evil, "evil's own token"), token(TENANT, TOKEN)]);
    let with = |urls: &str| client(urls).with_token(None).with_tokens(tokens.clone());
    let set = RunnerSet::connect(with(&format!("{evil}=tcp://{address}"))).unwrap();
    let why = failure(&set).await;
    assert!(why.contains(&format!("it runs the deployment {TENANT}, and the URL is for {evil}")), "{why}");
    assert!(!set.is_ready() && set.deployments().is_empty());
    set.shut_down().await;
    // A URL without a deployment means the default one, unless the settings share all runners.
    let open = client("").with_token(secret("evil's own token")).with_tokens(BTreeMap::new());
    let url = format!("tcp://{address}");
    let set = RunnerSet::connect(open.clone().with_urls(RunnerUrl::list(&url).unwrap())).unwrap();
    let why = failure(&set).await;
    assert!(why.contains("default/default/default"), "{why}");
    set.shut_down().await;
    let urls = RunnerUrl::list(&url).unwrap();
    let set = RunnerSet::connect(open.with_urls(urls).with_shared(true)).unwrap();
    set_has(&set, &[TENANT]).await;
    set.shut_down().await;
    runner.shut_down().await;

    // A process that listens there receives the token of that deployment, and no other.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let set = RunnerSet::connect(with(&format!("{evil}=tcp://{}", listener.local_addr().unwrap()))).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut hello = vec![0; 4096];
    let length = stream.read(&mut hello).await.unwrap();
    let hello = String::from_utf8_lossy(&hello[..length]);
    assert!(hello.contains("evil's own token") && !hello.contains(TOKEN), "{hello}");
    set.shut_down().await;
}

#[tokio::test]
async fn a_port_that_others_reach_is_not_open_to_everybody() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let open = RunnerServiceSettings { token: None, ..service(TENANT) };
    let refused = RunnerService::start(listener, settings(1).await, open).await;
    assert!(matches!(refused, Err(RunnerError::Unprotected(_))));
}
