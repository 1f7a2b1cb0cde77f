//! Hosts that run TypeScript, alone and together with Python hosts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::{Method, Request};
use langopen_core::auth::{Action, Auth, Credentials, Decision, Refusal, Resource};
use langopen_core::executor::{Executor, HistoryRequest, RunResult, RunResultStatus, SchemasRequest, SubgraphsRequest};
use langopen_core::model::ThreadStatus;
use langopen_core::{ErrorKind, JsonMap, RawJson, Tenant, ThreadId, UserInterfaces};
use langopen_runner::environment::{NodePlan, Options};
use langopen_runner::{
    AppAuth, AppConfig, HostError, HostPool, Inherited, NodeRuntime, PoolGraph, PoolSettings, RunnerSet, WebAnswer,
    WebApi, WebBody, WebCall, Withheld,
};
use serde_json::{Value, json};

use crate::remote::{TENANT, client, pool, runner, service};
use crate::support::{Bench, bearer, interrupt, settings, to_the_end};

/// The settings of a pool for the test application in TypeScript.
async fn typescript(hosts: usize) -> PoolSettings {
    application("app_js", hosts).await
}

/// The settings of a pool for the application in `tests/<folder>`. Its packages are installed once.
async fn application(folder: &str, hosts: usize) -> PoolSettings {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let config = AppConfig::load(&here.join("tests").join(folder).join("langgraph.json")).unwrap();
    let cache =
        std::env::var_os("LANGOPEN_CACHE_DIR").map_or_else(|| here.join("../target/environments"), PathBuf::from);
    let plan = NodePlan::new(&config, &Options::new(cache)).await.unwrap_or_else(|error| panic!("{error}"));
    let environment = plan.ensure(|_| {}).await.unwrap_or_else(|error| panic!("{error}"));
    PoolSettings {
        hosts,
        python: None,
        node: Some(NodeRuntime { interpreter: environment.node, program: environment.program }),
        program_dir: here.join("../target/host-program"),
        base_dir: config.base_dir().to_owned(),
        env: std::collections::BTreeMap::new(),
        inherited: Inherited::of_process(&Withheld::default()),
        sandbox: None,
        temp_dir: None,
        graphs: config
            .graphs
            .iter()
            .map(|(id, graph)| (id.clone(), PoolGraph { target: graph.target.to_string(), description: None }))
            .collect(),
        auth: None,
        store_index: None,
        store_ttl: None,
        serde: None,
        web_app: None,
        ui: std::collections::BTreeMap::new(),
        ui_shared: Vec::new(),
        mount_prefix: String::new(),
        api_url: "http://127.0.0.1".to_owned(),
        load_timeout: PoolSettings::LOAD_TIMEOUT,
        unresponsive_after: PoolSettings::UNRESPONSIVE_AFTER,
    }
}

/// An application with graphs in both languages.
async fn both() -> PoolSettings {
    let (python, node) = (settings(1).await, typescript(1).await);
    let graphs = node.graphs.into_iter().map(|(id, graph)| {
        let target = graph.target.replacen("./", "../app_js/", 1);
        (id, PoolGraph { target, ..graph })
    });
    let mut all = python.graphs.clone();
    all.extend(graphs);
    all.insert("talk".to_owned(), PoolGraph { target: "./talk.py:talk".to_owned(), description: None });
    PoolSettings { graphs: all, node: node.node, ..python }
}

async fn run(bench: &Bench, graph_id: &str, thread_id: ThreadId, input: Value) -> (RunResult, Value) {
    let (outputs, _cancel) = bench.run(graph_id, thread_id, input).await;
    let (_, result) = to_the_end(outputs).await.unwrap();
    assert_eq!(result.status, RunResultStatus::Success, "{:?}", result.detail);
    let values = result.state.as_ref().map_or(Value::Null, |state| state.values.decode().unwrap());
    (result, values)
}

#[tokio::test]
async fn runs_keep_their_state_through_calls_back() {
    let bench = Bench::with(typescript(1).await).await;
    let thread_id = bench.thread().await;
    for turn in 1..=3 {
        let (result, values) = run(&bench, "ts_counter", thread_id, json!({"log": []})).await;
        assert_eq!(values["log"].as_array().map(Vec::len), Some(turn));
        let key = langopen_core::model::CheckpointKey { thread_id, checkpoint_ns: String::new(), checkpoint_id: None };
        let newest = bench.context.checkpoint(&key).await.unwrap().unwrap();
        let state = result.state.unwrap();
        assert_eq!(Some(newest.checkpoint_id), state.checkpoint_id, "the result describes the newest checkpoint");
    }
    let config: RawJson = json!({"configurable": {"thread_id": thread_id}}).into();
    let request = HistoryRequest::new("ts_counter", config, 100);
    let history = bench.pool.state_history(bench.context.clone(), request).await.unwrap();
    assert_eq!(history.len(), 9, "three checkpoints for each of three runs");
    let (_, values) = run(&bench, "js_made", bench.thread().await, json!({"log": []})).await;
    assert_eq!(values["log"], json!(["js_made"]), "a factory is told the config");
    bench.pool.shut_down().await;
}

async fn schemas(bench: &Bench, graph_id: &str) -> Value {
    let request = SchemasRequest::new(graph_id, json!({"configurable": {}}).into());
    let schemas = bench.pool.schemas(bench.context.clone(), request).await.unwrap();
    serde_json::to_value(schemas).unwrap()
}

#[tokio::test]
async fn agents_of_langchain_and_deepagents_run() {
    let bench = Bench::with(application("app_agents", 1).await).await;
    let input = json!({"messages": [{"role": "user", "content": "hello"}]});
    for (graph_id, last) in [
        ("agent", "It said: Hello, you"),
        ("promised", "It said: Hello, you"),
        ("deep", "It said: It said: Hello, you"),
    ] {
        let (_, values) = run(&bench, graph_id, bench.thread().await, input.clone()).await;
        let messages = values["messages"].as_array().unwrap();
        assert_eq!(messages.last().unwrap()["content"], last, "{graph_id}");
    }
    let agent = schemas(&bench, "agent").await;
    assert!(agent["input_schema"]["properties"]["messages"].is_object(), "{agent}");
    assert_eq!(agent["context_schema"]["properties"]["name"]["type"], "string");
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn states_that_typescript_declares_have_schemas() {
    let bench = Bench::with(application("app_agents", 1).await).await;
    for graph_id in ["typed", "made"] {
        let found = schemas(&bench, graph_id).await;
        for kind in ["input_schema", "output_schema", "state_schema"] {
            let members = &found[kind]["properties"];
            assert_eq!(members["topic"]["type"], "string", "{graph_id} {kind}: {found}");
            assert_eq!(members["mood"]["enum"], json!(["bad", "good"]));
            assert_eq!(members["count"]["type"], "number");
            assert_eq!(members["due"]["anyOf"][0], json!({"type": "string", "format": "date-time"}));
            let message = members["messages"]["items"]["$ref"].as_str().unwrap().trim_start_matches("#/definitions/");
            assert!(found[kind]["definitions"][message].is_object(), "{message}");
        }
        assert_eq!(found["context_schema"]["properties"]["model"]["enum"], json!(["large", "small"]));
        assert_eq!(found["config_schema"], found["context_schema"]);
    }
    let config: RawJson = json!({"configurable": {}}).into();
    let request = SubgraphsRequest::new("typed", config).with_recurse(true);
    let inner = bench.pool.subgraphs(bench.context.clone(), request).await.unwrap();
    assert_eq!(
        inner["inner"].state_schema.decode::<Value>().unwrap()["properties"],
        json!({"mood": {"type": "string", "enum": ["bad", "good"]}})
    );
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn what_a_node_does_to_its_process_ends_its_own_run_alone() {
    let bench = Bench::with(application("app_agents", 1).await).await;
    let (bystander, _cancel) = bench.run("waits", bench.thread().await, json!({})).await;
    for (graph_id, message) in [
        ("exits_later", "process.exit(3) was called: a graph cannot end its process"),
        ("throws_later", "thrown in a timer"),
    ] {
        let (outputs, _cancel) = bench.run(graph_id, bench.thread().await, json!({})).await;
        let (_, result) = to_the_end(outputs).await.unwrap();
        assert_eq!(result.status, RunResultStatus::Error, "{graph_id}");
        assert_eq!(result.error.unwrap().message, message);
    }
    let (_, result) = to_the_end(bystander).await.unwrap();
    assert_eq!(result.status, RunResultStatus::Success, "{:?}", result.detail);
    // This run breaks langgraph's own use of JSON, so it fails. The next one has the original globals again.
    let (outputs, _cancel) = bench.run("patches", bench.thread().await, json!({})).await;
    let (_, result) = to_the_end(outputs).await.unwrap();
    assert_eq!(result.status, RunResultStatus::Error);
    run(&bench, "waits", bench.thread().await, json!({})).await;
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_cancel_stops_a_run_in_the_middle() {
    let bench = Bench::with(typescript(1).await).await;
    let (outputs, cancel) = bench.run("ts_slow", bench.thread().await, json!({"seconds": 60})).await;
    let begin = Instant::now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel.send_replace(interrupt());
    let (_, result) = to_the_end(outputs).await.unwrap();
    assert_eq!((result.status, result.thread_status), (RunResultStatus::Cancelled, ThreadStatus::Interrupted));
    assert!(begin.elapsed() < Duration::from_secs(30), "it did not sleep to its end");
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn graphs_of_both_languages_share_threads_and_the_store() {
    let bench = Bench::with(both().await).await;
    let thread_id = bench.thread().await;
    for (turn, graph_id) in ["counter", "ts_counter", "counter", "ts_counter"].into_iter().enumerate() {
        let (_, values) = run(&bench, graph_id, thread_id, json!({"log": []})).await;
        assert_eq!(values["log"], json!(vec!["counted"; turn + 1]), "{graph_id}");
    }
    let thread_id = bench.thread().await;
    for graph_id in ["talk", "ts_talk", "talk", "ts_talk"] {
        let input = json!({"messages": [{"role": "user", "content": "on"}]});
        run(&bench, graph_id, thread_id, input).await;
    }
    let (_, values) = run(&bench, "talk", thread_id, json!({"messages": []})).await;
    let said: Vec<_> =
        values["messages"].as_array().unwrap().iter().map(|one| (&one["type"], &one["content"])).collect();
    let expected = json!(["on", "1 so far", "on", "3 so far", "on", "5 so far", "on", "7 so far", "8 so far"]);
    assert_eq!(json!(said.iter().map(|(_, content)| content).collect::<Vec<_>>()), expected);
    assert!(said.iter().step_by(2).take(4).all(|(kind, _)| *kind == "human"), "{said:?}");

    run(&bench, "remember", bench.thread().await, json!({"log": []})).await;
    let (_, values) = run(&bench, "ts_recall", bench.thread().await, json!({"log": []})).await;
    assert_eq!(values["log"], json!(["kept"]));
    let graphs: Vec<_> = bench.pool.graphs().await.unwrap().into_iter().map(|graph| graph.graph_id).collect();
    let both = "blocking chatter counter deadly family flood hoard js_made overdraw pid remember slow surroundings talk \
                tokens ts_counter ts_deadly ts_recall ts_slow ts_surroundings ts_talk";
    assert_eq!(graphs.join(" "), both);
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn a_host_that_dies_is_started_again() {
    let bench = Bench::with(typescript(1).await).await;
    let (outputs, _cancel) = bench.run("ts_deadly", bench.thread().await, json!({"log": []})).await;
    let error = to_the_end(outputs).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    run(&bench, "ts_counter", bench.thread().await, json!({"log": []})).await;
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn user_code_sees_no_credentials() {
    // The data stores of the tests.
    let addresses = ["DATABASE_URL", "REDIS_URL"].iter().filter_map(|name| std::env::var(name).ok());
    let withheld = addresses.fold(Withheld::default(), |withheld, address| withheld.with_address(&address));
    let settings = PoolSettings { inherited: Inherited::of_process(&withheld), ..typescript(1).await };
    let bench = Bench::with(settings).await;
    let (_, values) = run(&bench, "ts_surroundings", bench.thread().await, json!({"log": []})).await;
    let names: Vec<String> = serde_json::from_value(values["log"].clone()).unwrap();
    let secret = |name: &&String| {
        // The host's own connection and mark are no secrets.
        name.starts_with("LANGOPEN_") && !["LANGOPEN_HOST_SOCKET", "LANGOPEN_HOST_ID"].contains(&name.as_str())
            || name.contains("DATABASE_UR")
            || name.contains("REDIS_UR")
    };
    assert_eq!(names.iter().filter(secret).collect::<Vec<_>>(), Vec::<&String>::new());
    bench.pool.shut_down().await;
}

#[tokio::test]
async fn what_cannot_be_loaded_says_where() {
    let whole = typescript(1).await;
    let folder = tempfile::tempdir_in(&whole.base_dir).unwrap();
    let written = |text: &str| std::fs::write(folder.path().join("wrong.ts"), text).unwrap();
    let name = folder.path().file_name().unwrap().to_string_lossy().into_owned();
    let started = async |export: &str| {
        let target = format!("./{name}/wrong.ts:{export}");
        let graphs = [("wrong".to_owned(), PoolGraph { target, description: None })].into();
        let settings = PoolSettings { graphs, ..whole.clone() };
        match HostPool::start(settings).await.err() {
            Some(HostError::Load(failure)) => failure.to_string(),
            other => panic!("{other:?}"),
        }
    };
    written("export const graph = {{;\n");
    let text = started("graph").await;
    assert!(text.contains("wrong.ts:1:") && text.contains("ERROR"), "{text}");
    written("export const graph: number = 5;\nexport function lost() { throw new TypeError('never'); }\n");
    let text = started("graph").await;
    assert!(text.contains("is a number: a graph needs a compiled graph"), "{text}");
    let text = started("grpah").await;
    assert!(text.contains("There is no export 'grpah'") && text.contains("it has 'graph', 'lost'"), "{text}");
    written("const x: string = null as any;\nexport const graph = x.length;\n");
    let text = started("graph").await;
    assert!(text.contains("TypeError") && text.contains("wrong.ts:2:"), "{text}");
}

#[tokio::test]
async fn an_auth_object_decides() {
    let settings = PoolSettings { auth: Some("./login.ts:auth".to_owned()), ..typescript(1).await };
    let pool = Arc::new(HostPool::start(settings).await.unwrap());
    let auth = AppAuth::of(&pool).unwrap();
    let ada = auth.authenticate(&bearer("Bearer ada")).await.unwrap();
    assert_eq!((&*ada.identity, &ada.user.as_ref().unwrap()["email"]), ("ada", &json!("ada@example.com")));
    let refusal =
        |error: &langopen_core::Error| Refusal::of(error).map(|refusal| (refusal.status, refusal.detail.clone()));
    let nobody = auth.authenticate(&Credentials::default()).await.unwrap_err();
    assert_eq!(refusal(&nobody), Some((401, "Who are you?".to_owned())));
    let broken = auth.authenticate(&bearer("broken")).await.unwrap_err();
    assert_eq!((refusal(&broken), broken.kind()), (None, langopen_core::ErrorKind::Internal));
    let body = Credentials { method: "POST".to_owned(), body: Some(Bytes::from_static(b"eve")), ..bearer("body") };
    assert_eq!(auth.authenticate(&body).await.unwrap().identity, "eve");

    let mut value = json!({"metadata": {"a": 1}});
    let decision = auth.authorize(&ada, Resource::Threads, Action::Create, &mut value).await.unwrap();
    assert!(matches!(decision, Decision::Allow), "{decision:?}");
    assert_eq!(value, json!({"metadata": {"a": 1, "owner": "ada"}}));
    let decision = auth.authorize(&ada, Resource::Threads, Action::Read, &mut json!({})).await.unwrap();
    assert!(matches!(decision, Decision::Filter(_)), "{decision:?}");
    let decision = auth.authorize(&ada, Resource::Assistants, Action::Delete, &mut json!({})).await.unwrap();
    assert!(matches!(decision, Decision::Deny), "{decision:?}");
    assert!(!auth.authorizes(Resource::Assistants, Action::Read) && auth.authorizes(Resource::Threads, Action::Search));
    pool.shut_down().await;
}

/// An API with a single path.
struct OnePath;

#[async_trait::async_trait]
impl WebApi for OnePath {
    async fn call(&self, request: Request<WebBody>) -> WebAnswer {
        let unknown = request.uri().path() != "/known";
        let text = if unknown { "no such path" } else { "from the API" };
        let body = futures::stream::once(async move { Ok(Bytes::from(text)) }).boxed();
        let response = http::Response::builder().status(if unknown { 404 } else { 200 }).body(body).unwrap();
        WebAnswer { response, unknown }
    }

    async fn authenticate(&self, _: Request<()>) -> Result<JsonMap, http::Response<WebBody>> {
        Ok(JsonMap::new())
    }
}

#[tokio::test]
async fn a_fetch_handler_serves_its_routes_and_lets_the_api_have_the_rest() {
    let settings = PoolSettings { web_app: Some("./web.ts:app".to_owned()), ..typescript(1).await };
    let pool = HostPool::start(settings).await.unwrap();
    let described = pool.web_app().unwrap();
    assert!(described.first && !described.later);
    assert_eq!(described.routes[0].pattern, "^/custom/(?:[^/]+)$");
    let ask = async |method: Method, path: &str, body: &'static str| {
        let stream = futures::stream::once(async move { Ok(Bytes::from(body)) }).boxed();
        let request = Request::builder().method(method).uri(path).body(stream).unwrap();
        let call = WebCall {
            request,
            has_body: !body.is_empty(),
            unknown: false,
            authenticate: false,
            user: None,
            root_path: String::new(),
            client: None,
            tenant: Some(Tenant::default()),
        };
        let response = pool.web(call, Arc::new(OnePath)).await.unwrap();
        assert_eq!(response.headers()["x-passed"], "yes", "the middleware is in front of everything");
        let status = response.status().as_u16();
        let pieces: Vec<Bytes> = response.into_body().try_collect().await.unwrap();
        (status, String::from_utf8(pieces.concat()).unwrap())
    };
    assert_eq!(ask(Method::GET, "/custom/ada", "").await, (200, r#"{"hello":"ada"}"#.to_owned()));
    assert_eq!(ask(Method::POST, "/custom/echo", "said").await, (200, "said".to_owned()));
    assert_eq!(ask(Method::GET, "/known", "").await, (200, "from the API".to_owned()));
    assert_eq!(ask(Method::GET, "/unknown", "").await, (404, "no such path".to_owned()), "the API has the last word");
    pool.shut_down().await;
}

#[tokio::test]
async fn components_are_bundled_here_and_behind_a_runner() {
    let ui = [("agent", "./ui.tsx"), ("broken", "./broken.tsx")].map(|(name, file)| (name.to_owned(), file.to_owned()));
    let settings = PoolSettings { ui: ui.into(), ..both().await };
    let base_dir = settings.base_dir.clone();
    let (runner, address) = runner(settings.clone(), service(TENANT)).await;
    let set = RunnerSet::connect(client(&format!("{TENANT}=tcp://{address}"))).unwrap();
    let far = pool(&set, TENANT).await;
    let near = HostPool::start(settings).await.unwrap();
    assert!(far.has_ui() && near.has_ui(), "{}", base_dir.display());
    let bundles = [near.bundle("agent").await.unwrap(), far.bundle("agent").await.unwrap()];
    assert_eq!(bundles[0], bundles[1]);
    assert!(std::str::from_utf8(&bundles[0].script).unwrap().contains("LGUI_REQUIRE"));
    assert!(Arc::ptr_eq(&bundles[1], &far.bundle("agent").await.unwrap()), "it is fetched once");
    for pool in [&near, &*far] {
        let error = pool.bundle("broken").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Graph);
        assert!(error.message().contains("broken.tsx:1:"), "{error}");
        assert_eq!(pool.bundle("other").await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    set.shut_down().await;
    runner.shut_down().await;
    near.shut_down().await;
}
