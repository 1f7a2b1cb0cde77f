//! The API as a client reaches it: whichever server answers.

use std::time::Duration;

use rand::RngExt;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::error::Result;

/// How long a client waits for the next bytes before it takes the connection for dead.
const PATIENCE: Duration = Duration::from_secs(12);

/// The servers of the API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    urls: Vec<String>,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The server did it, or has begun to.
    Yes(Response),
    /// The server says that it will not, and that nothing happened.
    No(StatusCode),
    /// It may have happened or not.
    Unknown,
}

impl Api {
    pub(crate) fn new(urls: &[String]) -> Result<Self> {
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(2)).read_timeout(PATIENCE).build()?;
        Ok(Self { http, urls: urls.to_vec() })
    }

    /// Asks one of the servers.
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

    /// Asks until a server answers: its JSON, or `None` for what is not there. For requests that change nothing, or nothing more the second time.
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

    /// The run's status; `gone` if there is no such run.
    pub(crate) async fn status(&self, thread_id: &str, run_id: &str) -> String {
        let run = self.get(&format!("/threads/{thread_id}/runs/{run_id}")).await;
        run.and_then(|run| Some(run.get("status")?.as_str()?.to_owned())).unwrap_or_else(|| GONE.to_owned())
    }
}

/// The status of a run that is not there.
pub(crate) const GONE: &str = "gone";

/// Whether nothing can happen to a run any more.
pub(crate) fn is_over(status: &str) -> bool {
    !matches!(status, "pending" | "running")
}
