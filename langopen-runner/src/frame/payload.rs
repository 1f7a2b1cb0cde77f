//! The payloads of frames.

use std::collections::{BTreeMap, HashSet};

use bytes::{Buf, Bytes};
use langopen_core::executor::{GraphInfo, ResultState, RunResult, RunResultStatus};
use langopen_core::model::{RunError, ThreadStatus};
use langopen_core::telemetry::{AttributeValue, TraceContext};
use langopen_core::{Error, JsonMap, RawJson, Result};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::host::WebApp;

/// HELLO.
#[derive(Debug, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) python_version: Option<String>,
    #[serde(default)]
    pub(crate) node_version: Option<String>,
    pub(crate) langgraph_version: String,
}

/// READY.
#[derive(Debug, Deserialize)]
pub(crate) struct Ready {
    pub(crate) graphs: Vec<GraphInfo>,
    #[serde(default)]
    pub(crate) auth: Option<ReadyAuth>,
    /// The application's own web app.
    #[serde(default)]
    pub(crate) http: Option<WebApp>,
    /// Whether it computes embeddings of texts.
    #[serde(default)]
    pub(crate) embeds: bool,
    /// Bundles of components for browsers, by name.
    #[serde(default)]
    pub(crate) ui: BTreeMap<String, UiOffer>,
}

/// The result of bundling a component file: the hash of its files, or the error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UiOffer {
    pub(crate) hash: Option<String>,
    pub(crate) error: Option<String>,
}

/// The handlers of the application's `Auth` object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadyAuth {
    /// Whether it has an authenticate handler.
    pub(crate) authenticate: bool,
    /// Whether the authenticate handler may read the request's body.
    pub(crate) needs_body: bool,
    /// Resource and action, `*` for any.
    pub(crate) handlers: HashSet<(String, String)>,
}

/// FATAL.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Fatal {
    pub(crate) error: String,
    pub(crate) message: String,
    pub(crate) traceback: Option<String>,
    pub(crate) graph_id: Option<String>,
    pub(crate) target: Option<String>,
}

/// LOG.
#[derive(Debug, Deserialize)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) source: String,
    pub(crate) message: String,
    pub(crate) run_id: Option<String>,
    pub(crate) logger: Option<String>,
}

/// SPAN.
#[derive(Debug, Deserialize)]
pub(crate) struct SpanReport {
    pub(crate) span_id: String,
    pub(crate) parent_span_id: String,
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, AttributeValue>,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

/// The trace that a run belongs to.
#[derive(Debug, Serialize)]
pub(crate) struct RunTrace<'a> {
    #[serde(flatten)]
    pub(crate) context: &'a TraceContext,
    /// Whether the host should report its spans.
    pub(crate) report: bool,
}

/// RUN.
#[derive(Debug, Serialize)]
pub(crate) struct RunRequest<'a> {
    pub(crate) run_id: String,
    pub(crate) thread_id: String,
    pub(crate) graph_id: &'a str,
    pub(crate) assistant_id: String,
    pub(crate) attempt: u32,
    pub(crate) temporary: bool,
    pub(crate) fresh_thread: bool,
    pub(crate) metadata: &'a JsonMap,
    pub(crate) kwargs: &'a RawJson,
    pub(crate) trace: Option<RunTrace<'a>>,
}

/// The header of DONE.
#[derive(Debug, Deserialize)]
struct DoneHeader {
    status: RunResultStatus,
    thread_status: ThreadStatus,
    error: Option<RunError>,
    detail: Option<String>,
    retryable: bool,
    interrupts: RawJson,
    checkpoint_id: Option<String>,
    has_state: bool,
}

/// Decodes EVENT into the name and the data.
pub(crate) fn event(mut payload: Bytes) -> Result<(Bytes, Bytes)> {
    let short = || Error::internal("host.event", "an EVENT frame is shorter than its length field");
    let length = usize::from(payload.try_get_u16().map_err(|_| short())?);
    if payload.len() < length {
        return Err(short());
    }
    let name = payload.split_to(length);
    Ok((name, payload))
}

/// Decodes DONE.
pub(crate) fn done(mut payload: Bytes) -> Result<RunResult> {
    let header: DoneHeader = from_json("host.done", &section(&mut payload)?)?;
    let values = section(&mut payload)?;
    let state = match header.has_state {
        false => None,
        true => Some(ResultState { checkpoint_id: header.checkpoint_id, values: raw(values)?, rest: raw(payload)? }),
    };
    Ok(RunResult {
        status: header.status,
        thread_status: header.thread_status,
        error: header.error,
        detail: header.detail,
        retryable: header.retryable,
        interrupts: header.interrupts,
        state,
    })
}

fn section(payload: &mut Bytes) -> Result<Bytes> {
    let short = || Error::internal("host.done", "a DONE frame is shorter than its length field");
    let length = payload.try_get_u32().map_err(|_| short())? as usize;
    if payload.len() < length { Err(short()) } else { Ok(payload.split_to(length)) }
}

/// Validates bytes as JSON. The text stays as it is.
pub(crate) fn raw(bytes: Bytes) -> Result<RawJson> {
    let text = String::from_utf8(bytes.into())
        .map_err(|error| Error::internal("host.read", "the host sent text that is not UTF-8").with_source(error))?;
    RawJson::from_text(text)
        .map_err(|error| Error::internal("host.read", "the host sent text that is not JSON").with_source(error))
}

/// Decodes a JSON payload.
pub(crate) fn from_json<'a, T: Deserialize<'a>>(operation: &'static str, bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::internal(operation, "the host sent a payload of the wrong shape").with_source(error))
}

/// A failed call, in either direction.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CallError {
    pub(crate) error: String,
    pub(crate) message: String,
}

/// A call from the host.
#[derive(Debug, Deserialize)]
#[serde(tag = "method", content = "params")]
pub(crate) enum HostCall {
    #[serde(rename = "checkpoints.get")]
    GetCheckpoint(GetCheckpoint),
    #[serde(rename = "checkpoints.list")]
    ListCheckpoints(ListCheckpoints),
    #[serde(rename = "checkpoints.put")]
    PutCheckpoint(PutCheckpoint),
    #[serde(rename = "checkpoints.put_writes")]
    PutWrites(PutWrites),
    #[serde(rename = "checkpoints.delete_thread")]
    DeleteThread(DeleteThread),
    #[serde(rename = "store.get")]
    GetItem(GetItem),
    #[serde(rename = "store.put")]
    PutItem(PutItem),
    #[serde(rename = "store.search")]
    SearchItems(SearchItems),
    #[serde(rename = "store.list_namespaces")]
    ListNamespaces(ListNamespaces),
}

impl HostCall {
    /// Whether the call changes something.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self, Self::PutCheckpoint(_) | Self::PutWrites(_) | Self::DeleteThread(_) | Self::PutItem(_))
    }

    /// The run or call that this call belongs to.
    pub(crate) fn caller(&self) -> Caller {
        match self {
            Self::GetCheckpoint(call) => call.caller(),
            Self::ListCheckpoints(call) => call.caller(),
            Self::PutCheckpoint(call) => call.caller(),
            Self::PutWrites(call) => call.caller(),
            Self::DeleteThread(call) => call.caller(),
            Self::GetItem(call) => call.caller(),
            Self::PutItem(call) => call.caller(),
            Self::SearchItems(call) => call.caller(),
            Self::ListNamespaces(call) => call.caller(),
        }
    }
}

/// The run or call that a call belongs to: a run's handle, or the id of the call that the host is answering.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Caller {
    #[serde(default)]
    pub(crate) run: Option<u32>,
    #[serde(default)]
    pub(crate) call: Option<u32>,
}

macro_rules! params {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize)]
            pub(crate) struct $name {
                #[serde(default)]
                pub(crate) run: Option<u32>,
                #[serde(default)]
                pub(crate) call: Option<u32>,
                $(
                    $(#[$attribute])*
                    pub(crate) $field: $type,
                )*
            }

            impl $name {
                fn caller(&self) -> Caller {
                    Caller { run: self.run, call: self.call }
                }
            }
        )*
    };
}

params! {
    GetCheckpoint { thread_id: String, checkpoint_ns: String, checkpoint_id: Option<String> }
    ListCheckpoints {
        thread_id: String, checkpoint_ns: Option<String>, before: Option<String>, limit: Option<u32>,
        filter: Option<ByteBuf>, checkpoint_id: Option<String>,
    }
    PutCheckpoint {
        thread_id: String, checkpoint_ns: String, checkpoint_id: String, parent_checkpoint_id: Option<String>,
        r#type: String, checkpoint: ByteBuf, metadata: ByteBuf, channel_versions: BTreeMap<String, String>,
        blobs: Vec<(String, String, String, ByteBuf)>,
    }
    PutWrites {
        thread_id: String, checkpoint_ns: String, checkpoint_id: String, task_id: String, task_path: String,
        writes: Vec<(i64, String, String, ByteBuf)>,
    }
    DeleteThread { thread_id: String }
    GetItem { namespace: Vec<String>, key: String, refresh_ttl: bool }
    PutItem {
        namespace: Vec<String>, key: String, value: Option<ByteBuf>, ttl: Option<f64>,
        #[serde(default)] vectors: Vec<(String, Vec<f32>)>,
    }
    SearchItems {
        namespace_prefix: Vec<String>, filter: Option<ByteBuf>, limit: u32, offset: u32, query: Option<String>,
        refresh_ttl: bool,
        #[serde(default)] vector: Option<Vec<f32>>,
    }
    ListNamespaces {
        prefix: Option<Vec<String>>, suffix: Option<Vec<String>>, max_depth: Option<u32>, limit: u32, offset: u32,
    }
}

/// A checkpoint for the host.
#[derive(Debug, Serialize)]
pub(crate) struct CheckpointReply<'a> {
    pub(crate) thread_id: String,
    pub(crate) checkpoint_ns: &'a str,
    pub(crate) checkpoint_id: &'a str,
    pub(crate) parent_checkpoint_id: Option<&'a str>,
    pub(crate) latest_id: Option<&'a str>,
    pub(crate) r#type: &'a str,
    pub(crate) checkpoint: &'a serde_bytes::Bytes,
    pub(crate) metadata: &'a serde_bytes::Bytes,
    pub(crate) channel_values: Vec<(&'a str, &'a str, &'a serde_bytes::Bytes)>,
    pub(crate) pending_writes: Vec<(&'a str, &'a str, &'a str, &'a serde_bytes::Bytes)>,
}

/// An item for the host.
#[derive(Debug, Serialize)]
pub(crate) struct ItemReply<'a> {
    pub(crate) namespace: &'a [String],
    pub(crate) key: &'a str,
    pub(crate) value: &'a serde_bytes::Bytes,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) score: Option<f64>,
}
