//! The data that all graphs of a run share: the run, its parameters and its storage.

use std::sync::Arc;

use langopen_core::clock::Clock;
use langopen_core::executor::{ExecutionContext, RunJob, RunOutput};
use langopen_core::json::JsonMap;
use langopen_core::model::Run;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::checkpoint::Location;
use super::steps::Given;
use super::stream::{Emitter, Marks};

/// The default limit of steps per run, as in LangGraph.
const RECURSION_LIMIT: i64 = 25;
/// Keys of `configurable` that checkpoint metadata omits: the user, and the location of the checkpoint.
const NOT_IN_METADATA: [&str; 5] =
    ["langgraph_auth_user", "langgraph_auth_permissions", "checkpoint_id", "checkpoint_ns", "checkpoint_map"];

/// Keys of `configurable` for a graph that is a node of a graph elsewhere. The outer graph uses them to resume this one
/// and to pass the answers.
const RESUMING: &str = "__pregel_resuming";
const RESUME_MAP: &str = "__pregel_resume_map";

/// A run, shared by all its graphs and tasks.
pub(super) struct Shared {
    pub(super) run: Run,
    pub(super) kwargs: JsonMap,
    /// The config as nodes and factories see it.
    pub(super) config: Value,
    pub(super) storage: ExecutionContext,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) emitter: Emitter,
    /// Answers to questions. `answer` goes to the first node that asks; `answers` are selected by the question's id.
    pub(super) answer: Mutex<Option<Value>>,
    pub(super) answers: JsonMap,
    pub(super) fresh_thread: bool,
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
            storage: job.context.clone(),
            clock,
            answer: Mutex::default(),
            answers,
            fresh_thread: job.fresh_thread,
        }
    }

    /// Waits until all earlier events are stored; called before each write from which a later attempt continues. The
    /// events of a run that is not resumable need no storage, because readers cannot resume them.
    pub(super) async fn events_are_stored(&self) {
        if self.run.resumable {
            self.emitter.events_are_stored().await;
        }
    }

    pub(super) fn location<'a>(&self, namespace: &'a str) -> Location<'a> {
        Location { thread_id: self.run.thread_id, namespace }
    }

    /// What the run begins with. A graph that accepts every key can start without an input.
    pub(super) fn given(&self, open: bool) -> Given {
        match (self.kwargs.get("command"), self.kwargs.get("input")) {
            (Some(Value::Object(command)), _) if !command.is_empty() => Given::Command(command.clone()),
            (_, None | Some(Value::Null)) if open => Given::Input(json!({})),
            (_, None | Some(Value::Null)) => Given::Nothing,
            (_, Some(input)) => Given::Input(input.clone()),
        }
    }

    /// Whether the root graph resumes, if the outer graph specified it.
    pub(super) fn resumes(&self) -> Option<bool> {
        self.config["configurable"][RESUMING].as_bool()
    }

    /// Whether every checkpoint is stored, and not only the last one.
    pub(super) fn stores_steps(&self) -> bool {
        !self.run.temporary && !self.stores_end()
    }

    /// Whether only the last checkpoint is stored.
    pub(super) fn stores_end(&self) -> bool {
        !self.run.temporary && self.kwargs.get("durability").is_some_and(|durability| durability == "exit")
    }

    pub(super) fn recursion_limit(&self) -> i64 {
        self.config["recursion_limit"].as_i64().unwrap_or(RECURSION_LIMIT)
    }

    /// The nodes before or after which the run must stop.
    pub(super) fn stops(&self, key: &str) -> Vec<String> {
        match self.kwargs.get(key) {
            Some(Value::String(node)) => vec![node.clone()],
            Some(Value::Array(nodes)) => nodes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// The metadata of a checkpoint.
    pub(super) fn metadata(&self, source: &str, step: i64, parents: &JsonMap) -> JsonMap {
        let mut metadata = remembered(&self.config);
        metadata.insert("source".to_owned(), source.into());
        metadata.insert("step".to_owned(), step.into());
        metadata.insert("parents".to_owned(), Value::Object(parents.clone()));
        metadata
    }
}

/// The part of a config that checkpoint metadata contains: its metadata, and its `configurable` for filters of
/// histories.
pub(super) fn remembered(config: &Value) -> JsonMap {
    let entries = |key: &str| config[key].as_object().into_iter().flatten().filter(|(key, _)| !key.starts_with("__"));
    let mut found = JsonMap::new();
    for (key, value) in entries("configurable").filter(|(key, _)| !NOT_IN_METADATA.contains(&key.as_str())) {
        found.insert(key.clone(), value.clone());
    }
    for (key, value) in entries("metadata") {
        found.insert(key.clone(), value.clone());
    }
    found
}

/// Whether the value maps the ids of questions to answers: then all its keys are such ids.
pub(super) fn is_by_id(resume: &Value) -> bool {
    let is_id = |key: &String| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    resume.as_object().is_some_and(|answers| !answers.is_empty() && answers.keys().all(is_id))
}

/// The run's config, completed with the run's ids and metadata.
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
