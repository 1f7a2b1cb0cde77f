//! A platform of processes, and its client.

use langopen_test_services::{postgres_url, redis_url};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::program::{Program, until};

const TOKEN: &str = "only for these tests";

/// The servers and settings that the processes of one test share.
pub(crate) struct Platform {
    database: String,
    redis: String,
    /// Further variables that describe the servers to the programs.
    told: Vec<(&'static str, String)>,
    root: String,
    name: String,
}

impl Platform {
    pub(crate) async fn new() -> Self {
        let (root, redis) = (postgres_url().await, redis_url().await);
        let name = format!("langopen_processes_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(&root).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let mut url: Url = root.parse().unwrap();
        url.set_path(&name);
        Self { database: url.to_string(), redis, told: Vec::new(), root, name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The database's own URL, whatever way the platform connects to it.
    pub(crate) fn database(&self) -> String {
        let mut url: Url = self.root.parse().unwrap();
        url.set_path(&self.name);
        url.into()
    }

    /// The same platform with other URLs for its servers. An empty `redis` means no Redis.
    pub(crate) fn through(self, database: String, redis: String, told: Vec<(&'static str, String)>) -> Self {
        Self { database, redis, told, ..self }
    }

    /// Starts a runner of the test application, and returns its address.
    pub(crate) async fn runner(&self, arguments: &[&str]) -> (Program, String) {
        let here = env!("CARGO_MANIFEST_DIR");
        let app = format!("{here}/../../langopen-runner/tests/app/langgraph.json");
        let cache = std::env::var("LANGOPEN_CACHE_DIR").unwrap_or_else(|_| format!("{here}/../../target/environments"));
        let data = format!("{here}/../../target/runner-data");
        let common = [
            "--config",
            &app,
            "--port",
            "0",
            "--health-port",
            "0",
            "--data",
            &data,
            "--cache-dir",
            &cache,
            "--hosts",
            "1",
        ];
        let arguments = [&common[..], arguments].concat();
        let variables = [
            ("LANGOPEN_RUNNER_TOKEN", TOKEN),
            ("DATABASE_URI", &self.database),
            ("COPY_OF_THE_ADDRESS", &self.database),
            ("PGPASSWORD", "hush"),
            ("DATABASE_URL", "postgres://app@elsewhere/app"),
        ];
        let mut runner = Program::start("runner", env!("CARGO_BIN_EXE_langopen-runner"), &arguments, &variables);
        let address = runner.says("runner").await.split(' ').next().unwrap().to_owned();
        (runner, address)
    }

    pub(crate) async fn worker(&self, runners: &[&str], arguments: &[&str]) -> Program {
        let urls = urls(runners);
        let arguments = [&["--port", "0", "--runner-urls", &urls][..], arguments].concat();
        let path = env!("CARGO_BIN_EXE_langopen-worker");
        let mut worker = Program::start("worker", path, &arguments, &self.variables());
        worker.says("ready").await;
        worker
    }

    /// Starts an API server, waits until it is ready, and returns its client.
    pub(crate) async fn api(&self, runners: &[&str]) -> (Program, Client) {
        self.api_with(runners, &[]).await
    }

    /// Like `api`, with further arguments.
    pub(crate) async fn api_with(&self, runners: &[&str], arguments: &[&str]) -> (Program, Client) {
        let urls = urls(runners);
        let path = env!("CARGO_BIN_EXE_langopen-api-server");
        let arguments = [&["--port", "0", "--runner-urls", &urls, "--grace-seconds", "600"][..], arguments].concat();
        let mut server = Program::start("API server", path, &arguments, &self.variables());
        let client = Client { url: server.says("API").await, http: reqwest::Client::new() };
        until(async || client.get("/readyz").await.ok()).await;
        (server, client)
    }

    /// The output of the command line, with the platform's database in its variables.
    pub(crate) async fn langopen(&self, arguments: &[&str]) -> String {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_langopen"));
        let done = command.args(arguments).envs(self.variables()).output().await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        let told = self.told.iter().map(|(name, value)| (*name, value.as_str()));
        let servers = [
            ("LANGOPEN_DATABASE_URL", self.database.as_str()),
            ("LANGOPEN_REDIS_URL", &self.redis),
            ("LANGOPEN_RUNNER_TOKEN", TOKEN),
        ];
        servers.into_iter().chain(told).collect()
    }

    /// Removes the database. Call it when the processes have ended.
    pub(crate) async fn remove(self) {
        let mut connection = PgConnection::connect(&self.root).await.unwrap();
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        connection.execute(sqlx::AssertSqlSafe(drop)).await.unwrap();
    }
}

fn urls(addresses: &[&str]) -> String {
    let url = |address: &&str| if address.contains("://") { (*address).to_owned() } else { format!("tcp://{address}") };
    addresses.iter().map(url).collect::<Vec<_>>().join(",")
}

/// A client of the API.
pub(crate) struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    /// A client of a path below this one's, with an API key.
    pub(crate) fn at(&self, path: &str, key: &str) -> Self {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), HeaderValue::from_str(key).unwrap())]);
        let http = reqwest::Client::builder().default_headers(headers).build().unwrap();
        Self { url: format!("{}{path}", self.url), http }
    }

    /// The JSON of the answer, or the HTTP status if the request failed.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, u16> {
        answer(self.http.get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Value, u16> {
        let request = self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        answer(request.body(body.to_string())).await
    }

    /// Creates a run on a new thread, and returns the paths of the run and the thread.
    pub(crate) async fn begin(&self, graph: &str, input: Value) -> (String, String) {
        let thread = self.post("/threads", json!({})).await.unwrap();
        let thread = format!("/threads/{}", thread["thread_id"].as_str().unwrap());
        let body = json!({"assistant_id": graph, "input": input, "stream_resumable": true});
        let run = self.post(&format!("{thread}/runs"), body).await.unwrap();
        (format!("{thread}/runs/{}", run["run_id"].as_str().unwrap()), thread)
    }

    /// Waits until the run has the status.
    pub(crate) async fn until_status(&self, run: &str, status: &str) {
        until(async || (self.get(run).await.ok()?["status"] == status).then_some(())).await;
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Value, u16> {
    let response = request.send().await.map_err(|_| 0_u16)?;
    match response.status().is_success() {
        true => Ok(serde_json::from_slice(&response.bytes().await.map_err(|_| 0_u16)?).unwrap_or_default()),
        false => Err(response.status().as_u16()),
    }
}
