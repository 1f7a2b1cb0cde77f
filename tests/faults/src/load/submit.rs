//! Requests a run.

use rand::RngExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::api::Answer;
use super::clients::Client;
use super::history::{Entry, Kind, Strategy};

/// The outcome of the request.
pub(crate) enum Submitted {
    /// The server has accepted the run, and the response shows its progress.
    Accepted(Response),
    /// The server has refused the run, and nothing happened.
    Refused,
    /// The outcome is unknown.
    Unknown,
}

impl Client {
    /// Requests a run and records it. The history contains the id of an accepted run.
    pub(super) async fn submit(&mut self, kind: Kind, strategy: Strategy, thread_id: &str) -> (usize, Submitted) {
        let (steps, pause) = (self.dice.random_range(2..=6u64), f64::from(self.dice.random_range(20..350)) / 1000.0);
        let hooked = self.dice.random_bool(0.4);
        let client = self.number;
        let number = self.history.add(|number| Entry {
            number,
            client,
            kind,
            strategy,
            thread_id: thread_id.to_owned(),
            steps,
            hooked,
            run_id: None,
            refused: None,
            cancelled: None,
            cancel_accepted: false,
            statuses: Vec::new(),
            answer: None,
            events: Vec::new(),
            rejoined: 0,
            replay: None,
        });
        let mut body = json!({
            "assistant_id": "steps",
            "input": {"steps": steps, "pause": pause, "at": 0, "log": []},
            "stream_mode": ["custom", "values"],
        });
        if hooked {
            body["webhook"] = Value::from(self.hook.as_str());
        }
        if kind != Kind::Stateless {
            body["multitask_strategy"] = Value::from(strategy.as_str());
            body["if_not_exists"] = Value::from("create");
        }
        if kind == Kind::Stream {
            body["stream_resumable"] = Value::from(true);
        }
        let path = match kind {
            Kind::Create => format!("/threads/{thread_id}/runs"),
            Kind::Wait => format!("/threads/{thread_id}/runs/wait"),
            Kind::Stream => format!("/threads/{thread_id}/runs/stream"),
            Kind::Stateless => "/runs/wait".to_owned(),
        };
        let submitted = match self.api.send(Method::POST, &path, Some(&body), None).await {
            Answer::Yes(answer) => {
                let ids = ids(&answer);
                self.history.change(number, |entry| {
                    if let Some((thread_id, run_id)) = ids {
                        entry.run_id = Some(run_id);
                        entry.thread_id = thread_id;
                    }
                });
                Submitted::Accepted(answer)
            }
            Answer::No(status) => {
                self.history.change(number, |entry| entry.refused = Some(status.as_u16()));
                Submitted::Refused
            }
            Answer::Unknown => Submitted::Unknown,
        };
        (number, submitted)
    }
}

/// The ids of the thread and the run, from `Content-Location`.
fn ids(answer: &Response) -> Option<(String, String)> {
    let path = answer.headers().get("content-location")?.to_str().ok()?;
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()?) {
        ("threads", thread_id, "runs", run_id) => Some((thread_id.to_owned(), run_id.to_owned())),
        _ => None,
    }
}
