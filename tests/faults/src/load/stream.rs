//! Reads a run's stream to its end, and rejoins it as often as needed.

use futures::StreamExt;
use reqwest::{Method, Response};
use std::time::Duration;

use super::SseEvent;
use super::api::{Answer, Api, is_over};
use super::history::History;
use super::sse::Parser;

/// Reads the rest of a response. Returns whether it ended regularly.
async fn read(response: Response, mut seen: impl FnMut(SseEvent)) -> bool {
    let (mut parser, mut pieces) = (Parser::default(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => parser.feed(&piece).into_iter().for_each(&mut seen),
            Err(_) => return false,
        }
    }
    true
}

/// Follows a run from the first response of its stream to its end. Then reads the stream again from the beginning, as a
/// new reader.
pub(super) async fn follow(api: &Api, history: &History, number: usize, first: Response) {
    let Some((thread_id, run_id)) = history.get(number, |entry| Some((entry.thread_id.clone(), entry.run_id.clone()?)))
    else {
        return;
    };
    let path = format!("/threads/{thread_id}/runs/{run_id}/stream");
    let note = |event| history.change(number, |entry| entry.events.push(event));
    let mut whole = read(first, note).await;
    loop {
        // A server that shuts down ends its streams regularly, although the run continues.
        if whole && is_over(&api.status(&thread_id, &run_id).await) {
            break;
        }
        let last = history.get(number, |entry| entry.events.last().map_or("-1".to_owned(), |event| event.id.clone()));
        history.change(number, |entry| entry.rejoined += 1);
        whole = match api.send(Method::GET, &path, None, Some(&last)).await {
            Answer::Yes(response) => read(response, note).await,
            // The run was rolled back and deleted.
            Answer::No(status) if status == reqwest::StatusCode::NOT_FOUND => return,
            Answer::No(_) | Answer::Unknown => false,
        };
        if !whole {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let events = replay(api, &path).await;
    history.change(number, |entry| entry.replay = Some(events));
}

/// Reads a run's stream from its beginning, until the stream reaches the run's end. Only then is it certain what a
/// reader sees.
async fn replay(api: &Api, path: &str) -> Vec<SseEvent> {
    loop {
        let mut events = Vec::new();
        if let Answer::Yes(response) = api.send(Method::GET, path, None, Some("-1")).await
            && read(response, |event| events.push(event)).await
        {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
