//! Measures the delay of a token from the model to the client, on a run's classic stream and on a thread's events.
//!
//! The model of the graph `clock` emits the current time. Model and client read the same clock.

use std::time::Duration;

use futures::StreamExt;
use langopen_core::clock::Timestamp;
use langopen_core::{Clock, SystemClock};
use serde_json::{Value, json};

use super::Environment;
use crate::app;
use crate::bar::Bar;
use crate::client::{Client, Events};
use crate::error::{Error, Result};
use crate::quantiles::Quantiles;
use crate::report::Found;

/// The most additional delay of a token on a thread's events, in milliseconds.
const LATER_MS: f64 = 5.0;

/// With fewer tokens, the measurement is invalid.
const TOKENS: usize = 90;

/// Seconds between two tokens.
const PACE: &str = "0.01";

pub(super) async fn measure(environment: &Environment) -> Result<Found> {
    let server = environment.server("clock", app::PYTHON).await?;
    let client = &server.client;
    let runs = if environment.quick { 3 } else { 10 };
    let (mut classic, mut protocol) = (Vec::new(), Vec::new());
    // Alternate, so that both see the same load on the machine.
    for _ in 0..runs {
        classic.extend(of_run(client).await?);
        protocol.extend(of_thread(client).await?);
    }
    server.stop().await;
    let (classic, protocol) = (Quantiles::of(&mut classic), Quantiles::of(&mut protocol));
    let mut found = Found::default();
    for (name, quantiles) in [("a run's stream", classic), ("a thread's events", protocol)] {
        let Some(quantiles) = quantiles else { continue };
        found.figure(format!("a token on {name}: p50"), quantiles.p50, "ms");
        found.figure(format!("a token on {name}: p99"), quantiles.p99, "ms");
    }
    let later = classic.zip(protocol).map(|(classic, protocol)| protocol.p50 - classic.p50);
    found.bars.push(Bar::at_most(
        "a token on a thread's events, later than on a run's stream: p50",
        later,
        Some(LATER_MS),
        "ms",
    ));
    Ok(found)
}

async fn of_run(client: &Client) -> Result<Vec<Duration>> {
    let body = json!({"assistant_id": "clock", "input": input(PACE), "stream_mode": ["messages-tuple"]});
    let events = client.posted("/runs/stream".into(), body.to_string().into()).await?;
    lateness(events, |name, data| match name {
        "messages" => data.pointer("/0/content").and_then(Value::as_str).map(Heard::Token),
        _ => None,
    })
    .await
}

async fn of_thread(client: &Client) -> Result<Vec<Duration>> {
    let thread = client.create_thread().await?;
    let wanted = json!({"channels": ["messages", "lifecycle"]});
    let events = client.posted(format!("/threads/{thread}/stream/events"), wanted.to_string().into()).await?;
    start(client, &thread, PACE).await?;
    lateness(events, heard).await
}

/// Starts a run of the graph with the thread protocol.
pub(super) async fn start(client: &Client, thread: &str, pace: &str) -> Result<()> {
    let path = format!("/threads/{thread}/commands");
    let params = json!({"assistant_id": "clock", "input": input(pace)});
    let command = json!({"id": 1, "method": "run.start", "params": params});
    let answer = client.call_json(reqwest::Method::POST, &path, Some(command.to_string().into())).await?;
    match answer["type"] == "success" {
        true => Ok(()),
        false => Err(Error::Answer { request: path, problem: answer.to_string() }),
    }
}

fn input(pace: &str) -> Value {
    json!({"messages": [{"role": "user", "content": pace}]})
}

/// The meaning of an event.
pub(super) enum Heard<'a> {
    Token(&'a str),
    End,
}

/// Reads an event of the protocol.
pub(super) fn heard<'a>(method: &str, event: &'a Value) -> Option<Heard<'a>> {
    let data = &event["params"]["data"];
    match method {
        "messages" => data.pointer("/delta/text").and_then(Value::as_str).map(Heard::Token),
        "lifecycle" if data["event"] != "running" => Some(Heard::End),
        _ => None,
    }
}

/// The time since the moment that a token names; `None` if it names none.
pub(super) fn since(token: &str) -> Option<Duration> {
    let told = token.trim().parse::<f64>().ok()?;
    Some(SystemClock.now().since(Timestamp::from_micros((told * 1e6) as i64)))
}

async fn lateness(
    mut events: Events,
    read: impl for<'a> Fn(&str, &'a Value) -> Option<Heard<'a>>,
) -> Result<Vec<Duration>> {
    let mut late = Vec::with_capacity(100);
    while let Some(event) = events.next().await {
        let (name, data) = event?;
        match read(&name, &data) {
            Some(Heard::Token(token)) => late.extend(since(token)),
            Some(Heard::End) => break,
            None => {}
        }
    }
    match late.len() {
        0..TOKENS => {
            let problem = format!("only {} tokens with a time", late.len());
            Err(Error::Answer { request: "a stream of tokens".into(), problem })
        }
        _ => Ok(late),
    }
}
