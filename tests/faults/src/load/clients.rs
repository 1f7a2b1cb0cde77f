//! Clients of several kinds. Each runs until it is stopped.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::api::{Answer, Api, is_over};
use super::history::{History, Kind, Strategy};
use super::stream;
use super::submit::Submitted;

/// A client.
pub(crate) struct Client {
    pub(super) number: usize,
    pub(super) api: Api,
    pub(super) history: History,
    pub(super) hook: String,
    pub(super) dice: StdRng,
    stop: CancellationToken,
}

impl Client {
    pub(crate) fn new(
        number: usize,
        seed: u64,
        api: Api,
        history: History,
        hook: String,
        stop: CancellationToken,
    ) -> Self {
        let dice = StdRng::seed_from_u64(seed.wrapping_mul(1009).wrapping_add(number as u64));
        Self { number, api, history, hook, dice, stop }
    }

    /// Requests runs until the client is stopped, and then waits for the end of the last runs.
    pub(crate) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let thread_id = Uuid::new_v4().to_string();
            match self.number % 5 {
                0 => self.burst(&thread_id).await,
                1 => self.waits(&thread_id).await,
                2 => self.streams(&thread_id).await,
                3 => self.contends(&thread_id).await,
                _ => self.stateless(&thread_id).await,
            }
        }
    }

    async fn pause(&mut self, most_ms: u64) {
        let pause = Duration::from_millis(self.dice.random_range(0..=most_ms));
        tokio::time::sleep(pause).await;
    }

    /// Creates several runs on a thread at once, which wait for each other.
    async fn burst(&mut self, thread_id: &str) {
        for _ in 0..3 {
            for _ in 0..self.dice.random_range(1..=4) {
                let (number, submitted) = self.submit(Kind::Create, Strategy::Enqueue, thread_id).await;
                self.created(number, submitted).await;
                self.pause(100).await;
            }
            self.until_quiet(thread_id).await;
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    /// Reads the run's row from the answer of `create`.
    async fn created(&self, number: usize, submitted: Submitted) {
        if let Submitted::Accepted(answer) = submitted
            && let Ok(run) = answer.json::<Value>().await
            && let Some(run_id) = run.get("run_id").and_then(Value::as_str)
        {
            self.history.change(number, |entry| entry.run_id = Some(run_id.to_owned()));
        }
    }

    /// Creates runs one after another, and waits for each.
    async fn waits(&mut self, thread_id: &str) {
        for _ in 0..4 {
            let (number, submitted) = self.submit(Kind::Wait, Strategy::Enqueue, thread_id).await;
            match submitted {
                Submitted::Accepted(answer) => self.join(number, answer).await,
                // The next run follows this one, whatever its outcome.
                Submitted::Refused | Submitted::Unknown => self.pause(300).await,
            }
            if self.stop.is_cancelled() {
                return self.until_quiet(thread_id).await;
            }
        }
        self.until_quiet(thread_id).await;
    }

    /// Reads the answer of `wait`. If none arrives, it repeats the request with `join`.
    async fn join(&mut self, number: usize, answer: Response) {
        let mut answer = answer.json::<Value>().await.ok();
        let Some((thread_id, run_id)) =
            self.history.get(number, |entry| Some((entry.thread_id.clone(), entry.run_id.clone()?)))
        else {
            return;
        };
        let path = format!("/threads/{thread_id}/runs/{run_id}/join");
        loop {
            // An internal error says nothing about the run's outcome.
            if let Some(answer) = answer.take().filter(|answer| answer["__error__"]["error"] != "InternalError") {
                let status = self.api.status(&thread_id, &run_id).await;
                if is_over(&status) {
                    self.history.change(number, |entry| entry.answer = Some(answer));
                    return;
                }
            }
            self.history.change(number, |entry| entry.rejoined += 1);
            self.pause(200).await;
            answer = match self.api.send(Method::GET, &path, None, None).await {
                Answer::Yes(answer) => answer.json().await.ok(),
                Answer::No(_) | Answer::Unknown => None,
            };
        }
    }

    /// Creates runs one after another, and reads their streams.
    async fn streams(&mut self, thread_id: &str) {
        for _ in 0..4 {
            let (number, submitted) = self.submit(Kind::Stream, Strategy::Enqueue, thread_id).await;
            match submitted {
                Submitted::Accepted(answer) => stream::follow(&self.api, &self.history, number, answer).await,
                Submitted::Refused | Submitted::Unknown => self.pause(300).await,
            }
            if self.stop.is_cancelled() {
                break;
            }
        }
        self.until_quiet(thread_id).await;
    }

    /// Creates runs that interfere with each other, and cancels some.
    async fn contends(&mut self, thread_id: &str) {
        const STRATEGIES: [Strategy; 6] = [
            Strategy::Enqueue,
            Strategy::Enqueue,
            Strategy::Enqueue,
            Strategy::Interrupt,
            Strategy::Rollback,
            Strategy::Reject,
        ];
        for _ in 0..6 {
            let strategy = *STRATEGIES.choose(&mut self.dice).unwrap_or(&Strategy::Enqueue);
            let (number, submitted) = self.submit(Kind::Create, strategy, thread_id).await;
            self.created(number, submitted).await;
            self.pause(700).await;
            if self.dice.random_bool(0.25) {
                let action = if self.dice.random_bool(0.5) { "interrupt" } else { "rollback" };
                self.cancel(number, action).await;
            }
        }
        self.until_quiet(thread_id).await;
    }

    async fn cancel(&mut self, number: usize, action: &'static str) {
        let Some((thread_id, run_id)) =
            self.history.get(number, |entry| Some((entry.thread_id.clone(), entry.run_id.clone()?)))
        else {
            return;
        };
        self.history.change(number, |entry| entry.cancelled = Some(action));
        let path = format!("/threads/{thread_id}/runs/{run_id}/cancel?action={action}");
        let answer = self.api.send(Method::POST, &path, Some(&json!({})), None).await;
        self.history.change(number, |entry| entry.cancel_accepted = matches!(answer, Answer::Yes(_)));
    }

    /// Creates runs without a thread.
    async fn stateless(&mut self, thread_id: &str) {
        let (number, submitted) = self.submit(Kind::Stateless, Strategy::Enqueue, thread_id).await;
        match submitted {
            Submitted::Accepted(answer) => {
                let answer = answer.json::<Value>().await.ok();
                self.history.change(number, |entry| entry.answer = answer);
                self.pause(200).await;
            }
            Submitted::Refused | Submitted::Unknown => self.pause(1500).await,
        }
    }

    /// Watches the client's runs on a thread until none is in flight, and records every status that it sees.
    async fn until_quiet(&mut self, thread_id: &str) {
        loop {
            let mut quiet = true;
            for (number, run_id) in self.history.on_thread(thread_id) {
                let status = self.api.status(thread_id, &run_id).await;
                quiet &= is_over(&status);
                self.history.change(number, |entry| {
                    if entry.statuses.last() != Some(&status) {
                        entry.statuses.push(status);
                    }
                });
            }
            // The list also includes runs whose ids the client never received.
            let runs = self.api.get(&format!("/threads/{thread_id}/runs?limit=100")).await.unwrap_or_default();
            let statuses = runs.as_array().into_iter().flatten().filter_map(|run| run.get("status")?.as_str());
            if statuses.fold(quiet, |quiet, status| quiet & is_over(status)) {
                return;
            }
            self.pause(500).await;
        }
    }
}
