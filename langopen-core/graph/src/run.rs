//! What all of a run's graphs share: the run, what it was asked for, what it may reach.

use std::sync::Arc;

use langopen_core::clock::Clock;
use langopen_core::executor::{ExecutionContext, RunJob, RunOutput};
use langopen_core::json::JsonMap;
use langopen_core::model::Run;
use langopen_core::queue::Lease;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::checkpoint::Place;
use super::steps::Given;
use super::stream::{Emitter, Marks};

/// How many steps a run may take when it does not say: as many as LangGraph's.
const RECURSION_LIMIT: i64 = 25;
/// Keys of `configurable` that checkpoint metadata leaves out: the user's document, and the checkpoint's own place.
const NOT_IN_METADATA: [&str; 5] =
    ["langgraph_auth_user", "langgraph_auth_permissions", "checkpoint_id", "checkpoint_ns", "checkpoint_map"];

/// Keys of `configurable` by which a graph elsewhere, of which this one is a node, says that it goes on, and with which
/// answers.
const RESUMING: &str = "__pregel_resuming";
const RESUME_MAP: &str = "__pregel_resume_map";

/// A run, for everything that takes part in it.
pub(super) struct Shared {
    pub(super) run: Run,
    pub(super) kwargs: JsonMap,
    /// As nodes see it, and factories.
    pub(super) config: Value,
    pub(super) reach: ExecutionContext,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) emitter: Emitter,
    /// Answers to questions, for whoever asks: one for the first who does, others by the question's id.
    pub(super) answer: Mutex<Option<Value>>,
    pub(super) answers: JsonMap,
    pub(super) fresh_thread: bool,
    lease: Lease,
}

impl Shared {
    pub(super) fn new(job: &RunJob, clock: Arc<dyn Clock>, events: mpsc::Sender<RunOutput>, marks: Marks) -> Self {
        let kwargs: JsonMap = job.run.kwargs.decode().unwrap_or_default();
        let config = config_of(&job.run, &kwargs);
        let resume = kwargs.get("command").and_then(|command| command.get("resume"));
        let mut answers = config["configurable"][RESUME_MAP].as_object().cloned().unwrap_or_default();
        answers
            .extend(resume.filter(|resume| is_by_id(resume)).and_then(Value::as_object).cloned().unwrap_or_default());
        Self {
            emitter: Emitter::new(&kwargs, events, marks),
            run: job.run.clone(),
            kwargs,
            config,
            reach: job.context.clone(),
            clock,
            answer: Mutex::default(),
            answers,
            fresh_thread: job.fresh_thread,
            lease: Lease { run_id: job.run.run_id, attempt: job.run.attempt },
        }
    }

    /// Before something is kept that a later attempt goes on after. Nobody comes back to a stream that is not kept.
    pub(super) async fn said_is_kept(&self) {
        if self.run.resumable {
            self.emitter.kept().await;
        }
    }

    pub(super) fn lease(&self) -> Lease {
        self.lease
    }

    pub(super) fn place<'a>(&self, namespace: &'a str) -> Place<'a> {
        Place { thread_id: self.run.thread_id, namespace, lease: Some(self.lease) }
    }

    /// What the run begins with; a graph that takes every key is content without an input.
    pub(super) fn given(&self, open: bool) -> Given {
        match (self.kwargs.get("command"), self.kwargs.get("input")) {
            (Some(Value::Object(command)), _) if !command.is_empty() => Given::Command(command.clone()),
            (_, None | Some(Value::Null)) if open => Given::Input(json!({})),
            (_, None | Some(Value::Null)) => Given::Nothing,
            (_, Some(input)) => Given::Input(input.clone()),
        }
    }

    /// Whether the root goes on from where it stopped, if that was said.
    pub(super) fn resumes(&self) -> Option<bool> {
        self.config["configurable"][RESUMING].as_bool()
    }

    /// Whether checkpoints are kept as the run goes, and not only when it stops.
    pub(super) fn keeps_steps(&self) -> bool {
        !self.run.temporary && !self.keeps_end()
    }

    /// Whether only the last checkpoint is kept.
    pub(super) fn keeps_end(&self) -> bool {
        !self.run.temporary && self.kwargs.get("durability").is_some_and(|durability| durability == "exit")
    }

    pub(super) fn recursion_limit(&self) -> i64 {
        self.config["recursion_limit"].as_i64().unwrap_or(RECURSION_LIMIT)
    }

    /// The nodes before or after which the run was told to stop.
    pub(super) fn stops(&self, key: &str) -> Vec<String> {
        match self.kwargs.get(key) {
            Some(Value::String(node)) => vec![node.clone()],
            Some(Value::Array(nodes)) => nodes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// The metadata of a checkpoint.
    pub(super) fn metadata(&self, source: &str, step: i64, parents: &JsonMap) -> JsonMap {
        let mut kept = remembered(&self.config);
        kept.insert("source".to_owned(), source.into());
        kept.insert("step".to_owned(), step.into());
        kept.insert("parents".to_owned(), Value::Object(parents.clone()));
        kept
    }
}

/// The part of a config that checkpoint metadata has: its `configurable`, so that histories can be filtered by it, and
/// its metadata.
pub(super) fn remembered(config: &Value) -> JsonMap {
    let entries = |key: &str| config[key].as_object().into_iter().flatten().filter(|(key, _)| !key.starts_with("__"));
    let mut kept = JsonMap::new();
    for (key, value) in entries("configurable").filter(|(key, _)| !NOT_IN_METADATA.contains(&key.as_str())) {
        kept.insert(key.clone(), value.clone());
    }
    for (key, value) in entries("metadata") {
        kept.insert(key.clone(), value.clone());
    }
    kept
}

/// Whether it is an answer for each question by its id: then all keys are such ids.
pub(super) fn is_by_id(resume: &Value) -> bool {
    let is_id = |key: &String| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    resume.as_object().is_some_and(|answers| !answers.is_empty() && answers.keys().all(is_id))
}

/// The run's config, with what is known besides.
fn config_of(run: &Run, kwargs: &JsonMap) -> Value {
    let mut config = match kwargs.get("config") {
        Some(Value::Object(config)) => config.clone(),
        _ => JsonMap::new(),
    };
    config.retain(|_, value| !value.is_null());
    let mut configurable = match config.get("configurable") {
        Some(Value::Object(configurable)) => configurable.clone(),
        _ => JsonMap::new(),
    };
    let known = [
        ("thread_id", run.thread_id.to_string()),
        ("run_id", run.run_id.to_string()),
        ("graph_id", run.graph_id.clone()),
        ("assistant_id", run.assistant_id.to_string()),
    ];
    for (key, value) in known {
        configurable.entry(key).or_insert(value.into());
    }
    let mut metadata = run.metadata.clone();
    metadata.insert("run_attempt".to_owned(), run.attempt.into());
    for (key, value) in &configurable {
        let plain = !key.starts_with("__") && !value.is_null() && !value.is_object() && !value.is_array();
        if plain && !metadata.contains_key(key) {
            metadata.insert(key.clone(), value.clone());
        }
    }
    config.insert("configurable".to_owned(), Value::Object(configurable));
    config.insert("metadata".to_owned(), Value::Object(metadata));
    config.entry("tags").or_insert(json!([]));
    config.entry("recursion_limit").or_insert(RECURSION_LIMIT.into());
    Value::Object(config)
}
