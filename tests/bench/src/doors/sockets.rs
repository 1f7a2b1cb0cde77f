//! Many WebSockets on one thread's events.

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::Environment;
use super::tokens::{Heard, heard, since, start};
use crate::app;
use crate::bar::Bar;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::quantiles::Quantiles;
use crate::report::Found;

const SOCKETS: usize = 1_000;
const AT_ONCE: usize = 50;
/// Seconds between two tokens. The server sends each token a thousand times.
const PACE: &str = "0.1";
const PATIENCE: Duration = Duration::from_secs(120);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) async fn measure(environment: &Environment) -> Result<Found> {
    let server = environment.server("sockets", app::PYTHON).await?;
    let client = &server.client;
    let thread = client.create_thread().await?;
    let resident = || server.memory().map_or(0.0, |memory| memory.resident_mib);
    let before = resident();
    let mut open = Vec::with_capacity(SOCKETS);
    while open.len() < SOCKETS {
        let opened: FuturesUnordered<_> = (0..AT_ONCE).map(|_| subscribed(client, &thread)).collect();
        let opened: Vec<_> = opened.collect().await;
        for socket in opened {
            open.push(socket?);
        }
    }
    let each = (resident() - before) * 1024.0 / SOCKETS as f64;
    let listeners: FuturesUnordered<_> = open.into_iter().map(to_the_end).collect();
    let listened = async { listeners.collect::<Vec<_>>().await };
    let (started, listened) = tokio::join!(start(client, &thread, PACE), tokio::time::timeout(PATIENCE, listened));
    started?;
    let listened = listened.map_err(|_| failed("not all sockets heard the run's end".into()))?;
    server.stop().await;
    let (mut late, mut heard) = (Vec::new(), HashSet::new());
    let mut twice = 0;
    for one in listened {
        let one = one?;
        twice += one.twice;
        late.extend(one.late);
        heard.insert(one.events);
    }
    let late = Quantiles::of(&mut late);
    let mut found = Found::default();
    found.figure(format!("memory of the server for each of {SOCKETS} WebSockets"), each, "KiB");
    if let Some(late) = late {
        found.figure(format!("a token on one of {SOCKETS} WebSockets of a thread: p50"), late.p50, "ms");
        found.figure(format!("a token on one of {SOCKETS} WebSockets of a thread: p99"), late.p99, "ms");
    }
    let unlike = heard.len().saturating_sub(1) as f64;
    found.bars.extend([
        Bar::at_most(
            format!("{SOCKETS} WebSockets on one thread: events received twice"),
            Some(twice as f64),
            Some(0.0),
            "",
        ),
        Bar::at_most(
            format!("{SOCKETS} WebSockets on one thread: other counts of events than the first"),
            Some(unlike),
            Some(0.0),
            "",
        ),
    ]);
    Ok(found)
}

fn failed(problem: String) -> Error {
    Error::Answer { request: "a WebSocket of a thread".into(), problem }
}

async fn subscribed(client: &Client, thread: &str) -> Result<Socket> {
    let url = client.socket_url(&format!("/threads/{thread}/stream/events"));
    let (mut socket, _) = connect_async(url).await.map_err(|error| failed(error.to_string()))?;
    let params = json!({"channels": ["messages", "values", "lifecycle"]});
    let command = json!({"id": 1, "method": "subscription.subscribe", "params": params}).to_string();
    socket.send(Message::Text(command.into())).await.map_err(|error| failed(error.to_string()))?;
    match next(&mut socket).await? {
        answer if answer["type"] == "success" => Ok(socket),
        answer => Err(failed(answer.to_string())),
    }
}

/// The events that one socket received.
struct Listened {
    late: Vec<Duration>,
    events: usize,
    twice: usize,
}

async fn to_the_end(mut socket: Socket) -> Result<Listened> {
    let (mut late, mut seen, mut twice) = (Vec::with_capacity(100), HashSet::new(), 0);
    loop {
        let event = next(&mut socket).await?;
        twice += usize::from(!seen.insert(event["event_id"].as_str().unwrap_or_default().to_owned()));
        match heard(event["method"].as_str().unwrap_or_default(), &event) {
            Some(Heard::Token(token)) => late.extend(since(token)),
            Some(Heard::End) => return Ok(Listened { late, events: seen.len(), twice }),
            None => {}
        }
    }
}

async fn next(socket: &mut Socket) -> Result<Value> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).map_err(|error| failed(error.to_string()));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(failed(error.to_string())),
            None => return Err(failed("it was closed".into())),
        }
    }
}
