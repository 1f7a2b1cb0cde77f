//! The subscriptions of one connection: several filters over one reader of the thread.
//!
//! The server sends an event once, if at least one subscription wants it. A new subscription also gets the events that
//! the log kept before it. For this, the connection reads the thread again from its beginning, and skips the events
//! that the other subscriptions have already seen.

use std::time::Duration;

use langopen_core::run_service::ThreadRead;
use langopen_core::{JsonMap, Scope, ThreadId};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::command::Commander;
use super::envelope::{Answer, Command, ErrorCode, Refusal, answer};
use super::event::ProtocolEvent;
use super::filter::{Filter, Methods};
use super::status;
use super::tape::{Play, Tape};
use crate::agent::App;

/// The most subscriptions of one connection.
const MOST: usize = 256;

/// The most time to wait for the next kept event before the server counts the replayed events.
const REPLAY: Duration = Duration::from_millis(200);

struct Subscription {
    id: Uuid,
    filter: Filter,
    /// The length of the command that created it.
    bytes: usize,
    /// The number of the last event that was checked against the filter.
    seen: u64,
}

pub(super) struct Subscriptions {
    app: App,
    scope: Scope,
    thread_id: ThreadId,
    tape: Option<Tape>,
    all: Vec<Subscription>,
    sent: u64,
}

impl Subscriptions {
    pub(super) fn new(app: &App, scope: Scope, thread_id: ThreadId) -> Self {
        Self { app: app.clone(), scope, thread_id, tape: None, all: Vec::new(), sent: 0 }
    }

    /// The number of the last event that the server sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Waits for the next read; without subscriptions, forever. It is cancel-safe.
    pub(super) async fn wait(&mut self) -> Option<ThreadRead> {
        match &mut self.tape {
            Some(tape) => tape.wait().await,
            None => std::future::pending().await,
        }
    }

    /// The events of `read` that a subscription wants.
    pub(super) async fn take(&mut self, read: ThreadRead) -> Play {
        let wanted = self.wanted();
        match &mut self.tape {
            Some(tape) => {
                let play = tape.take(read, wanted).await;
                self.chosen(play)
            }
            None => Play::Events(Vec::new()),
        }
    }

    pub(super) async fn quiet(&mut self) -> Play {
        match &mut self.tape {
            Some(tape) => {
                let play = tape.quiet().await;
                self.chosen(play)
            }
            None => Play::Events(Vec::new()),
        }
    }

    fn wanted(&self) -> Methods {
        self.all.iter().fold(Methods::default(), |wanted, each| wanted.and(each.filter.methods))
    }

    fn chosen(&mut self, play: Play) -> Play {
        match play {
            Play::Events(events) => Play::Events(events.into_iter().filter(|event| self.wants(event)).collect()),
            other => other,
        }
    }

    fn wants(&mut self, event: &ProtocolEvent) -> bool {
        let mut wanted = false;
        for each in &mut self.all {
            if event.seq > each.seen {
                each.seen = event.seq;
                wanted |= each.filter.wants(event);
            }
        }
        if wanted {
            self.sent = self.sent.max(event.seq);
        }
        wanted
    }

    /// Executes a command about this connection. Returns the events before the answer, the answer, and the events after
    /// it.
    pub(super) async fn obey(&mut self, commander: &Commander, command: Command) -> (Play, Answer, Play) {
        let nothing = || Play::Events(Vec::new());
        // Filters live as long as the connection, and need more memory than their text.
        let (bytes, most) = (command.params.as_str().len(), self.app.settings.max_search_body_bytes);
        if self.all.iter().map(|each| each.bytes).sum::<usize>() + bytes > most {
            let message = format!("the subscriptions of a connection may have at most {most} bytes together");
            return (nothing(), Err(Refusal::invalid(message)), nothing());
        }
        let params: JsonMap = command.params.decode().unwrap_or_default();
        match command.method.as_str() {
            "subscription.subscribe" => self.subscribe(&params, bytes, Opening::Subscribe).await,
            "subscription.reconnect" => match params.get("channels") {
                Some(Value::Array(channels)) if !channels.is_empty() => {
                    let seen = params.get("last_event_id").and_then(Value::as_str).map(str::to_owned);
                    self.subscribe(&params, bytes, Opening::Reconnect(seen)).await
                }
                _ => {
                    let message = "subscription.reconnect requires a non-empty channels array.";
                    (nothing(), Err(Refusal::invalid(message)), nothing())
                }
            },
            "subscription.unsubscribe" => (nothing(), self.unsubscribe(&params), nothing()),
            "agent.getTree" => {
                let root = self.tape.as_ref().and_then(|tape| tape.tree().root());
                let tree = match root {
                    Some(root) => answer(&json!({"tree": root})),
                    None => status::tree(commander).await,
                };
                (nothing(), tree, nothing())
            }
            method => {
                let message = format!("Unknown protocol command: {method}");
                (nothing(), Err(Refusal::new(ErrorCode::UnknownCommand, message)), nothing())
            }
        }
    }

    async fn subscribe(&mut self, params: &JsonMap, bytes: usize, opening: Opening) -> (Play, Answer, Play) {
        let refused = |refusal| (Play::Events(Vec::new()), Err(refusal), Play::Events(Vec::new()));
        let filter = match Filter::parse(params) {
            Ok(filter) => filter,
            Err(message) => return refused(Refusal::invalid(message)),
        };
        if self.all.len() >= MOST {
            let message = format!("a connection may have at most {MOST} subscriptions");
            return refused(Refusal::new(ErrorCode::NotSupported, message));
        }
        let new = match Tape::open(&self.app, self.scope.clone(), self.thread_id).await {
            Ok(tape) => tape,
            Err(error) => return refused(error.into()),
        };
        let (before, position) = (self.drain().await, self.tape.as_ref().map(Tape::last));
        if !matches!(before, Play::Events(_)) {
            return (before, answer(&json!({})), Play::Events(Vec::new()));
        }
        self.tape = Some(new);
        let id = self.app.ids.random();
        let seen = filter.since;
        self.all.push(Subscription { id, filter, bytes, seen });
        // Replays up to the previous reader's position. A reconnect replays until no more events come.
        let until = if matches!(opening, Opening::Reconnect(_)) { Some(u64::MAX) } else { position };
        let mut after = self.replay(until.unwrap_or_default()).await;
        let replayed = match &mut after {
            Play::Events(events) => opening.skip(events),
            _ => None,
        };
        let count = if let Play::Events(events) = &after { events.len() } else { 0 };
        let graphs = self.tape.as_ref().map(|tape| tape.tree().all()).unwrap_or_default();
        let result = match replayed {
            None => json!({"subscription_id": id, "replayed_events": count}),
            Some(restored) => json!({
                "subscription_id": id, "restored": restored, "missed_events": count, "current_namespaces": graphs,
            }),
        };
        (before, answer(&result), after)
    }

    /// The events that are ready now.
    async fn drain(&mut self) -> Play {
        let mut all = Vec::new();
        while let Some(read) = self.tape.as_mut().and_then(Tape::ready) {
            match self.take(read).await {
                Play::Events(events) => all.extend(events),
                other => return other,
            }
        }
        Play::Events(all)
    }

    /// The kept events up to the number `until`. It stops early if the next event does not come soon.
    async fn replay(&mut self, until: u64) -> Play {
        let mut all = Vec::new();
        while let Some(tape) = self.tape.as_mut().filter(|tape| tape.last() < until) {
            let Ok(Some(read)) = timeout(REPLAY, tape.wait()).await else { break };
            match self.take(read).await {
                Play::Events(events) => all.extend(events),
                other => return other,
            }
        }
        Play::Events(all)
    }

    fn unsubscribe(&mut self, params: &JsonMap) -> Answer {
        let Some(named) = params.get("subscription_id").and_then(Value::as_str) else {
            return Err(Refusal::invalid("subscription.unsubscribe requires a subscription_id."));
        };
        let at = named.parse().ok().and_then(|id: Uuid| self.all.iter().position(|each| each.id == id));
        let Some(at) = at else {
            return Err(Refusal::new(ErrorCode::NoSuchSubscription, format!("Unknown subscription: {named}")));
        };
        self.all.remove(at);
        if self.all.is_empty() {
            self.tape = None;
        }
        answer(&json!({}))
    }
}

/// The kind of a new subscription.
enum Opening {
    Subscribe,
    /// It continues an earlier connection after the event with this id, if the client has one.
    Reconnect(Option<String>),
}

impl Opening {
    /// Removes the events up to the one that the client saw last. Returns whether that event was found; `None` if it is
    /// a first subscription.
    fn skip(self, events: &mut Vec<ProtocolEvent>) -> Option<bool> {
        let seen = match self {
            Self::Subscribe => return None,
            Self::Reconnect(None) => return Some(true),
            Self::Reconnect(Some(seen)) => seen,
        };
        let at = events.iter().position(|event| event.id == seen);
        if let Some(at) = at {
            events.drain(..=at);
        }
        Some(at.is_some())
    }
}
