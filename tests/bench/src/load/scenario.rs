//! The work of one client in one round.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use clap::ValueEnum;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::{Client, Streamed, text};
use crate::error::{Error, Result};

/// The kinds of rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// GET /ok.
    Ok,
    /// POST /runs/wait, stateless.
    Wait,
    /// POST /runs/stream, stateless, read to its end.
    Stream,
    /// A new thread, then --turns times POST /threads/{id}/runs/wait on it.
    Turns,
    /// A new thread, POST /threads/{id}/runs, join, and a check that the run succeeded.
    Background,
    /// GET /threads/{id}/state of a thread that had --turns turns.
    State,
    /// GET /threads/{id}/history?limit=10 of such a thread.
    History,
    /// POST /threads/search, limit 10.
    Search,
    /// POST /threads.
    CreateThread,
    /// PUT /store/items, with a new key each time.
    StorePut,
    /// Each client opens one stream and reads it to its end, once.
    Hold,
}

impl Scenario {
    /// Whether rounds read a thread that must exist before.
    pub(crate) fn needs_thread(self) -> bool {
        matches!(self, Self::State | Self::History)
    }
}

/// The parts that all clients of one measurement share.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) client: Client,
    pub(crate) scenario: Scenario,
    pub(crate) turns: usize,
    /// The thread that `state` and `history` read.
    pub(crate) thread: Option<String>,
    stream_body: Bytes,
    run_body: Bytes,
    keys: AtomicU64,
}

impl Work {
    pub(crate) fn new(client: Client, scenario: Scenario, assistant: &str, input: &Value, stream_mode: &str) -> Self {
        let body = |value: Value| Bytes::from(value.to_string());
        Self {
            client,
            scenario,
            turns: 10,
            thread: None,
            stream_body: body(json!({"assistant_id": assistant, "input": input, "stream_mode": [stream_mode]})),
            run_body: body(json!({"assistant_id": assistant, "input": input})),
            keys: AtomicU64::new(0),
        }
    }

    /// Creates the thread that `state` and `history` read.
    pub(crate) async fn make_thread(&mut self) -> Result<()> {
        self.thread = Some(self.thread_with_turns().await?);
        Ok(())
    }

    /// Runs one round. A stream also returns its figures.
    pub(crate) async fn round(&self) -> Result<Option<Streamed>> {
        match self.scenario {
            Scenario::Stream | Scenario::Hold => return self.client.stream(self.stream_body.clone()).await.map(Some),
            Scenario::Ok => self.get("/ok").await?,
            Scenario::Wait => self.client.wait("/runs/wait", self.run_body.clone()).await?,
            Scenario::Turns => drop(self.thread_with_turns().await?),
            Scenario::Background => self.background().await?,
            Scenario::State => self.get(&format!("/threads/{}/state", self.thread()?)).await?,
            Scenario::History => self.get(&format!("/threads/{}/history?limit=10", self.thread()?)).await?,
            Scenario::Search => self.send(Method::POST, "/threads/search", &json!({"limit": 10})).await?,
            Scenario::CreateThread => drop(self.client.create_thread().await?),
            Scenario::StorePut => {
                let key = self.keys.fetch_add(1, Ordering::Relaxed).to_string();
                let item = json!({"namespace": ["bench"], "key": key, "value": {"a": 1}});
                self.send(Method::PUT, "/store/items", &item).await?;
            }
        }
        Ok(None)
    }

    async fn thread_with_turns(&self) -> Result<String> {
        let thread = self.client.create_thread().await?;
        for _ in 0..self.turns {
            self.client.turn(&thread, self.run_body.clone()).await?;
        }
        Ok(thread)
    }

    async fn background(&self) -> Result<()> {
        let thread = self.client.create_thread().await?;
        let path = format!("/threads/{thread}/runs");
        let run = self.client.call_json(Method::POST, &path, Some(self.run_body.clone())).await?;
        let path = format!("{path}/{}", text(&run, "POST /threads/{id}/runs", "run_id")?);
        self.get(&format!("{path}/join")).await?;
        let run = self.client.call_json(Method::GET, &path, None).await?;
        match text(&run, "GET /threads/{id}/runs/{run}", "status")?.as_str() {
            "success" => Ok(()),
            status => Err(Error::Answer { request: format!("GET {path}"), problem: format!("status {status}") }),
        }
    }

    fn thread(&self) -> Result<&str> {
        self.thread.as_deref().ok_or_else(|| Error::Option("this scenario reads a thread, and none was made".into()))
    }

    async fn get(&self, path: &str) -> Result<()> {
        self.client.call(Method::GET, path, None).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<()> {
        self.client.call(method, path, Some(Bytes::from(body.to_string()))).await.map(drop)
    }
}
