//! Measures one server.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::plan::{Plan, Step};
use crate::load::{Load, Measure, Scenario, Turns, Work, run, run_turns};
use crate::process::Memory;
use crate::server::Server;

/// Threads whose turns do not count.
const WARM_UP_THREADS: usize = 2;

/// The figures of one server.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) measures: Vec<Named>,
    /// All threads at the same time.
    pub(super) turns_at_once: Turns,
    /// One thread after another.
    pub(super) turns_one_client: Option<Turns>,
    /// Resident memory after all measurements.
    pub(super) memory: Option<Memory>,
}

/// A measurement and its name in the plan.
#[derive(Debug, Serialize)]
pub(super) struct Named {
    pub(super) name: &'static str,
    #[serde(flatten)]
    pub(super) measure: Measure,
}

impl Figures {
    pub(super) fn get(&self, name: &str) -> Option<&Measure> {
        self.measures.iter().find(|named| named.name == name).map(|named| &named.measure)
    }

    /// The number of failed requests, and one of the reasons.
    pub(super) fn errors(&self) -> (u64, Option<&str>) {
        let measures = self.measures.iter().map(|named| (named.measure.errors, &named.measure.last_error));
        let turns = self.turns_one_client.iter().chain([&self.turns_at_once]);
        let turns = turns.map(|turns| (turns.errors, &turns.last_error));
        measures
            .chain(turns)
            .fold((0, None), |(sum, reason), (errors, last)| (sum + errors, reason.or(last.as_deref())))
    }
}

/// Measures a server by the plan. Failures are part of the figures.
///
/// The load rises slowly: first the thread for the readers, then one client, then the readers, and the heavy load last.
/// Under heavy load in its first seconds, the peer reads state 40 times slower from then on, which would favor
/// LangOpen.
pub(super) async fn server(server: &Server, plan: &Plan, one_client: bool) -> Figures {
    let say = |what: &str| eprintln!("{}: {what}", server.name);
    say(&format!("a thread of {} turns to read", plan.read_turns));
    let mut reader = work(server, Scenario::State, "noop", "values");
    reader.turns = plan.read_turns;
    // If this fails, every round that reads the thread fails and reports it.
    let thread = reader.make_thread().await.ok().and(reader.thread);

    let mut measures = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        say(step.name);
        measures.push(Named { name: step.name, measure: measure(server, step, plan, thread.clone()).await });
    }

    let turns = |clients, threads, limit| run_turns(&server.client, clients, threads, plan.turns, limit);
    let turns_one_client = if one_client {
        say(&format!("{} threads of {} turns, one after another", plan.threads, plan.turns));
        turns(1, WARM_UP_THREADS, plan.one_client / 4).await;
        Some(turns(1, plan.threads, plan.one_client).await)
    } else {
        None
    };
    say(&format!("{} threads of {} turns at once", plan.threads, plan.turns));
    let turns_at_once = turns(plan.threads, plan.threads, plan.at_once).await;
    Figures { measures, turns_at_once, turns_one_client, memory: server.memory() }
}

async fn measure(server: &Server, step: &Step, plan: &Plan, thread: Option<String>) -> Measure {
    let mut work = work(server, step.scenario, step.assistant, step.stream_mode);
    work.thread = thread;
    let window = Duration::from_secs_f64(step.seconds);
    run(work, Load { clients: step.clients, warm_up: plan.warm_up, window }).await
}

fn work(server: &Server, scenario: Scenario, assistant: &str, stream_mode: &str) -> Work {
    let input = json!({"messages": [{"role": "user", "content": "hi"}]});
    Work::new(server.client.clone(), scenario, assistant, &input, stream_mode)
}
