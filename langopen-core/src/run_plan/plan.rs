//! Builds a run: the request over the assistant, with what the server adds.

use std::time::Duration;

use serde_json::{Value, json};
use tracing::Span;

use super::config::{mirror, over, take_object, without_reserved_metadata};
use super::kwargs::Kwargs;
use super::request::{IfNotExists, RunRequest, StreamMode};
use crate::auth::Identity;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::ids::{RunId, ThreadId};
use crate::json::{JsonMap, RawJson};
use crate::model::{Assistant, CronFiring, NewRun, OnCompletion, RunOrigin, RunThread, ThreadTtl};
use crate::telemetry;

/// Keys of `configurable` that name the thread and the checkpoint of a run.
const THREAD_KEYS: [&str; 4] = ["thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"];

/// The thread of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetThread {
    /// A thread that the client names.
    Given(ThreadId),
    /// A thread of its own, with this new id.
    Own(ThreadId),
}

impl TargetThread {
    /// The thread that the client named.
    pub fn given(self) -> Option<ThreadId> {
        match self {
            Self::Given(id) => Some(id),
            Self::Own(_) => None,
        }
    }

    /// The thread.
    pub fn thread_id(self) -> ThreadId {
        match self {
            Self::Given(id) | Self::Own(id) => id,
        }
    }
}

/// A run that is about to be created.
#[derive(Debug, Clone)]
pub struct RunPlan<'a> {
    /// Its id.
    pub run_id: RunId,
    /// Its thread.
    pub thread: TargetThread,
    /// What was asked for.
    pub request: RunRequest,
    /// The assistant that it runs. The request overrides the assistant.
    pub assistant: &'a Assistant,
    /// The caller, for whom the graph acts.
    pub identity: &'a Identity,
    /// Request headers that the graph sees in `configurable`: names in lower case, with their values.
    pub headers: &'a [(String, String)],
    /// The id of the request that it comes from.
    pub request_id: Option<String>,
    /// The present moment.
    pub now: Timestamp,
    /// Whether the answer needs `values` events, even if the client did not ask for that stream mode.
    pub needs_values: bool,
    /// Metadata for a thread that the run creates, e.g. the owner that authorization stamped.
    pub stamp: JsonMap,
    /// The time to live of a thread that the run creates.
    pub thread_ttl: Option<ThreadTtl>,
    /// The firing of a cron that the run is.
    pub firing: Option<CronFiring>,
}

impl RunPlan<'_> {
    /// The run as the queue takes it.
    ///
    /// # Errors
    /// `Invalid` when both `context` and `config.configurable` are given.
    pub fn build(mut self) -> Result<NewRun> {
        let thread_id = self.thread.thread_id();
        let temporary = matches!(self.thread, TargetThread::Own(_))
            && self.request.on_completion.unwrap_or_default() == OnCompletion::Delete;
        let mut given = self.request.config.take().unwrap_or_default();
        let context = mirror(&mut given, self.request.context.take())?;
        let config_metadata = without_reserved_metadata(take_object(&mut given, "metadata"));
        given.shift_remove("metadata");

        let mut config = self.assistant.config.clone();
        let configurable = over(take_object(&mut config, "configurable"), take_object(&mut given, "configurable"));
        let thread = self.thread(&given, &configurable, &config_metadata);
        let (metadata_base, metadata_own) = self.metadata(config_metadata);
        config.extend(given);
        config.insert("configurable".to_owned(), Value::Object(self.configurable(configurable)));
        let metadata = over(metadata_base.clone(), metadata_own.clone());
        config.insert("metadata".to_owned(), Value::Object(metadata));
        let context = over(self.assistant.context.clone(), context);

        let mut modes = self.request.stream_mode.take().unwrap_or_else(|| vec![StreamMode::Values]);
        if self.needs_values && !modes.contains(&StreamMode::Values) {
            modes.push(StreamMode::Values);
        }
        let kwargs = RawJson::of(&Kwargs::new(&self.request, &config, &context, &modes, temporary));
        let kwargs = kwargs.map_err(|error| Error::internal("run_plan.build", "no JSON form").with_source(error))?;
        Ok(NewRun {
            run_id: self.run_id,
            thread_id,
            assistant_id: self.assistant.assistant_id,
            graph_id: self.assistant.graph_id.clone(),
            metadata_base,
            metadata_own,
            kwargs,
            origin: RunOrigin { request_id: self.request_id.clone(), trace: telemetry::context_of(&Span::current()) },
            multitask_strategy: self.request.multitask_strategy.unwrap_or_default(),
            resumable: self.request.stream_resumable.unwrap_or_default(),
            temporary,
            webhook: self.request.webhook.clone(),
            available_at: self.now.plus(self.delay()),
            thread,
            firing: self.firing,
        })
    }

    fn delay(&self) -> Duration {
        let seconds = self.request.after_seconds.as_ref().and_then(serde_json::Number::as_f64).unwrap_or_default();
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
    }

    /// The change of the thread's row. The row keeps the configuration, so that a graph factory gets the same one when
    /// a client reads or updates the thread's state. The checkpoint that the run starts from belongs to the run alone.
    fn thread(&self, given: &JsonMap, configurable: &JsonMap, config_metadata: &JsonMap) -> RunThread {
        let create =
            matches!(self.thread, TargetThread::Own(_)) || self.request.if_not_exists == Some(IfNotExists::Create);
        let mut metadata = if create { self.stamp.clone() } else { JsonMap::new() };
        metadata.insert("graph_id".to_owned(), self.assistant.graph_id.clone().into());
        metadata.insert("assistant_id".to_owned(), self.assistant.assistant_id.to_string().into());
        let mut config = given.clone();
        let mut configurable = configurable.clone();
        configurable.retain(|key, _| !THREAD_KEYS.contains(&key.as_str()));
        config.insert("configurable".to_owned(), Value::Object(configurable));
        if !config_metadata.is_empty() {
            config.insert("metadata".to_owned(), Value::Object(config_metadata.clone()));
        }
        RunThread { create, metadata, config, ttl: self.thread_ttl }
    }

    /// The metadata below and above the thread's own.
    fn metadata(&mut self, config_metadata: JsonMap) -> (JsonMap, JsonMap) {
        let mut forced = JsonMap::new();
        if matches!(self.thread, TargetThread::Given(_)) {
            forced.insert("graph_id".to_owned(), self.assistant.graph_id.clone().into());
        }
        forced.insert("assistant_id".to_owned(), self.assistant.assistant_id.to_string().into());
        let mut base = self.assistant.metadata.clone();
        if matches!(self.thread, TargetThread::Given(_)) {
            base.extend(forced.clone());
        }
        let given = without_reserved_metadata(self.request.metadata.take().unwrap_or_default());
        (base, over(over(config_metadata, given), forced))
    }

    /// The graph's configurable values: those of the client, then those of the server.
    fn configurable(&self, mut configurable: JsonMap) -> JsonMap {
        let mut put = |key: &str, value: Value| {
            configurable.insert(key.to_owned(), value);
        };
        for (name, value) in self.headers {
            put(name, value.as_str().into());
        }
        let checkpoint = self.request.checkpoint.clone().unwrap_or_default();
        if let Some(id) = checkpoint.checkpoint_id.or_else(|| self.request.checkpoint_id.clone()) {
            put("checkpoint_id", id.into());
        }
        if let Some(namespace) = checkpoint.checkpoint_ns {
            put("checkpoint_ns", namespace.into());
        }
        if let Some(map) = checkpoint.checkpoint_map {
            put("checkpoint_map", Value::Object(map));
        }
        let identity = self.identity;
        put("langgraph_auth_user", identity.user.clone().map_or(Value::Null, Value::Object));
        put("langgraph_auth_user_id", identity.identity.as_str().into());
        put("langgraph_auth_permissions", identity.permissions.clone().into());
        put("langgraph_request_id", self.request_id.clone().into());
        put("__request_start_time_ms__", self.now.as_millis().into());
        put("__after_seconds__", self.request.after_seconds.clone().map_or(json!(0), Value::Number));
        put("run_id", self.run_id.to_string().into());
        put("thread_id", self.thread.thread_id().to_string().into());
        put("graph_id", self.assistant.graph_id.as_str().into());
        put("assistant_id", self.assistant.assistant_id.to_string().into());
        if let Some(firing) = self.firing {
            put("cron_id", firing.cron_id.to_string().into());
        }
        // Clients configure graphs with a `user_id` of their own. The caller's identity is `langgraph_auth_user_id`.
        configurable.entry("user_id").or_insert_with(|| identity.identity.as_str().into());
        configurable
    }
}
