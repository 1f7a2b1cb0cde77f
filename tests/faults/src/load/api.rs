//! The API from a client's point of view. Any API server may answer a request.

use std::time::Duration;

use rand::RngExt;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::error::Result;

/// How long a client waits for the next bytes before it gives the connection up.
const PATIENCE: Duration = Duration::from_secs(12);

/// The API servers.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    urls: Vec<String>,
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The server has done it, or has begun to.
    Yes(Response),
    /// The server has refused it, and nothing happened.
    No(StatusCode),
    /// The outcome is unknown.
    Unknown,
}

impl Api {
    pub(crate) fn new(urls: &[String]) -> Result<Self> {
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(2)).read_timeout(PATIENCE).build()?;
        Ok(Self { http, urls: urls.to_vec() })
    }

    /// Sends the request to one of the servers.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>, last: Option<&str>) -> Answer {
        let url = &self.urls[rand::rng().random_range(0..self.urls.len())];
        let mut request = self.http.request(method, format!("{url}{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Answer::Yes(answer),
            Ok(answer) if answer.status().is_client_error() => Answer::No(answer.status()),
            Ok(_) | Err(_) => Answer::Unknown,
        }
    }

    /// Repeats the request until a server answers. Returns the JSON, or `None` for 404. Use it only for idempotent
    /// requests.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Value> {
        loop {
            match self.send(method.clone(), path, body, None).await {
                Answer::Yes(answer) => {
                    if let Ok(value) = answer.json().await {
                        return Some(value);
                    }
                }
                Answer::No(StatusCode::NOT_FOUND | StatusCode::CONFLICT) => return None,
                Answer::No(_) | Answer::Unknown => {}
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// The run's status, or `gone` if the run does not exist.
    pub(crate) async fn status(&self, thread_id: &str, run_id: &str) -> String {
        let run = self.get(&format!("/threads/{thread_id}/runs/{run_id}")).await;
        run.and_then(|run| Some(run.get("status")?.as_str()?.to_owned())).unwrap_or_else(|| GONE.to_owned())
    }
}

/// The status of a run that does not exist.
pub(crate) const GONE: &str = "gone";

/// Whether the status of a run is final.
pub(crate) fn is_over(status: &str) -> bool {
    !matches!(status, "pending" | "running")
}
