//! A thin client of the Agent Server API. It decodes only the parts of answers that a measurement needs, because it
//! shares the machine with the server.

use std::time::{Duration, Instant};

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::sse::Scanner;

const TIMEOUT: Duration = Duration::from_secs(60);

/// The longest time for which a stream is held.
const FOR_LONG: Duration = Duration::from_secs(3600);

/// The names and data of a stream's events.
pub(crate) type Events = BoxStream<'static, Result<(String, Value)>>;

/// The figures of one run's stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streamed {
    /// The time from the request to the first event after `metadata`.
    pub(crate) first: Duration,
    /// The number of events, with `metadata`.
    pub(crate) events: u64,
}

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    api_key: Option<String>,
}

impl Client {
    pub(crate) fn new(base: &str, api_key: Option<String>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(usize::MAX)
            .timeout(TIMEOUT)
            .build()
            .map_err(|source| Error::Request { request: "the HTTP client".into(), source })?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), api_key })
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Bytes> {
        let request = format!("{method} {path}");
        let answer = send(&request, self.request(method, path, body)).await?;
        answer.bytes().await.map_err(|source| Error::Request { request, source })
    }

    /// Like `call`, but decodes the answer.
    pub(crate) async fn call_json(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Value> {
        let request = format!("{method} {path}");
        let bytes = self.call(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Answer { request, problem: error.to_string() })
    }

    /// `POST /threads`; returns the new thread's id.
    pub(crate) async fn create_thread(&self) -> Result<String> {
        let thread = self.call_json(Method::POST, "/threads", Some(Bytes::from_static(b"{}"))).await?;
        text(&thread, "POST /threads", "thread_id")
    }

    /// Starts a run and waits for its result, at a path that ends with `/runs/wait`.
    pub(crate) async fn wait(&self, path: &str, body: Bytes) -> Result<()> {
        let values = self.call(Method::POST, path, Some(body)).await?;
        // The answer to a failed run has status 200, too.
        if memchr::memmem::find(&values, b"\"__error__\"").is_some() {
            let problem = String::from_utf8_lossy(&values).into_owned();
            return Err(Error::Answer { request: format!("POST {path}"), problem });
        }
        Ok(())
    }

    /// Runs one turn of a thread.
    pub(crate) async fn turn(&self, thread: &str, body: Bytes) -> Result<()> {
        self.wait(&format!("/threads/{thread}/runs/wait"), body).await
    }

    /// Streams a stateless run to its end.
    pub(crate) async fn stream(&self, body: Bytes) -> Result<Streamed> {
        let name = "POST /runs/stream";
        let start = Instant::now();
        let answer = send(name, self.request(Method::POST, "/runs/stream", Some(body))).await?;
        let mut chunks = answer.bytes_stream();
        let (mut scanner, mut first) = (Scanner::default(), None);
        while let Some(chunk) = chunks.next().await {
            scanner.feed(&chunk.map_err(|source| Error::Request { request: name.into(), source })?);
            if scanner.events > 1 && first.is_none() {
                first = Some(start.elapsed());
            }
        }
        match first {
            Some(first) if !scanner.error => Ok(Streamed { first, events: scanner.events }),
            _ => {
                let problem = match scanner.error {
                    true => "an error event".to_owned(),
                    false => format!("the stream ended after {} events", scanner.events),
                };
                Err(Error::Answer { request: name.into(), problem })
            }
        }
    }

    /// Opens a stream of events; with `after`, of the kept events after that id. Returns when the response begins.
    pub(crate) async fn opened(&self, path: String, after: Option<&str>) -> Result<Events> {
        let name = format!("GET {path}");
        let mut request = self.request(Method::GET, &path, None).timeout(FOR_LONG);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        events(name, request).await
    }

    /// Like `opened`, for a stream whose request has a body.
    pub(crate) async fn posted(&self, path: String, body: Bytes) -> Result<Events> {
        events(format!("POST {path}"), self.request(Method::POST, &path, Some(body)).timeout(FOR_LONG)).await
    }

    /// The address of a WebSocket.
    pub(crate) fn socket_url(&self, path: &str) -> String {
        format!("{}{path}", self.base.replacen("http", "ws", 1))
    }

    fn request(&self, method: Method, path: &str, body: Option<Bytes>) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.api_key {
            request = request.header("x-api-key", key);
        }
        match body {
            Some(body) => request.header("content-type", "application/json").body(body),
            None => request,
        }
    }
}

/// The events of a response; returns when the response begins.
async fn events(name: String, request: RequestBuilder) -> Result<Events> {
    let answer = send(&name, request).await?;
    let events = answer.bytes_stream().eventsource().map(move |event| {
        let failed = |problem: String| Error::Answer { request: name.clone(), problem };
        let event = event.map_err(|error| failed(error.to_string()))?;
        let data = serde_json::from_str(&event.data).map_err(|error| failed(error.to_string()))?;
        Ok((event.event, data))
    });
    Ok(events.boxed())
}

/// The string `key` of an answer.
pub(crate) fn text(answer: &Value, request: &str, key: &str) -> Result<String> {
    let missing = || Error::Answer { request: request.to_owned(), problem: format!("no {key} in {answer}") };
    answer.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(missing)
}

async fn send(request: &str, builder: RequestBuilder) -> Result<Response> {
    let failed = |source| Error::Request { request: request.to_owned(), source };
    let answer = builder.send().await.map_err(failed)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = answer.text().await.map_err(failed)?.chars().take(300).collect();
    Err(Error::Status { request: request.to_owned(), status: status.as_u16(), body })
}
