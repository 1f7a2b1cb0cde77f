//! Answers calls of the host from the storage, within the scope of their run or call.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use langopen_core::executor::ExecutionContext;
use langopen_core::model::{
    Blob, CheckpointKey, CheckpointList, CheckpointTuple, FieldVector, FilterOperator, ItemFilter, NamespaceQuery,
    NewCheckpoint, NewStoreItem, PendingWrite, PendingWrites, StoreItem, StoreItemQuery,
};
use langopen_core::{Error, JsonMap, Result, ThreadId};
use serde::Serialize;
use serde_bytes::ByteBuf;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::Host;
use super::budget::Share;
use super::connection::Outgoing;
use super::message::Marks;
use super::turns::Turns;
use crate::frame::payload::{self, CallError, Caller, CheckpointReply, HostCall, ItemReply, from_json};
use crate::frame::{Frame, Kind};

/// How many calls of one run reach the storage concurrently. The others wait, so one run cannot use up the storage's
/// connections.
const AT_ONCE: usize = 32;

/// The longest value of a store item, in bytes.
const MAX_ITEM: usize = 16 * 1024 * 1024;

/// Why a call of the run failed; set once the storage did not answer a call.
pub(super) type StorageFailure = Arc<OnceLock<String>>;

/// The part of the storage that the calls of a run or a question may reach, and the state of these calls.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) context: ExecutionContext,
    /// The number of writes in progress. A host does not wait for its writes, but its reads must see them.
    writes: watch::Sender<usize>,
    /// The order of the run's checkpoints.
    turns: Turns,
    /// The marks of a run with a resumable stream.
    marks: Option<Marks>,
    gate: Arc<Semaphore>,
    storage: StorageFailure,
}

impl Reach {
    pub(super) fn new(context: ExecutionContext) -> Self {
        let (gate, storage) = (Arc::new(Semaphore::new(AT_ONCE)), StorageFailure::default());
        Self { context, writes: watch::Sender::new(0), turns: Turns::default(), marks: None, gate, storage }
    }

    /// Why a call failed; set once the storage did not answer a call.
    pub(super) fn storage_failure(&self) -> StorageFailure {
        Arc::clone(&self.storage)
    }

    /// With marks, events reach the log before the checkpoints that follow them. A later attempt does not repeat the
    /// events before its checkpoint, so they must be in the log.
    pub(super) fn with_marks(self, marks: Option<Marks>) -> Self {
        Self { marks, ..self }
    }
}

/// A write in progress.
struct Write(watch::Sender<usize>);

impl Write {
    fn begin(reach: &Reach) -> Self {
        reach.writes.send_modify(|count| *count += 1);
        Self(reach.writes.clone())
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Answers one CALL frame in a task of its own. It is called in the order of the frames.
pub(super) fn serve(host: &Arc<Host>, frame: Frame) {
    let host = Arc::clone(host);
    let share = host.share(frame.payload.len());
    let call = rmp_serde::from_slice::<HostCall>(&frame.payload)
        .map_err(|error| Error::invalid("host.serve", "the call cannot be decoded").with_source(error))
        .and_then(|call| reach(&host, call.caller()).map(|reach| (call, reach)));
    let stream = frame.stream;
    // The call has its own copies.
    drop(frame);
    let write = call.as_ref().ok().filter(|(call, _)| call.is_write()).map(|(_, reach)| Write::begin(reach));
    let turn = match &call {
        Ok((HostCall::PutCheckpoint(_), reach)) => Some(reach.turns.take()),
        _ => None,
    };
    let kept = match &call {
        Ok((HostCall::PutCheckpoint(_) | HostCall::PutWrites(_), reach)) => reach.marks.as_ref().map(Marks::set),
        _ => None,
    };
    tokio::spawn(async move {
        if let Some(kept) = kept {
            kept.await;
        }
        let answer = match call {
            Err(error) => Err(error),
            Ok((call, reach)) => {
                if write.is_none() {
                    // `reach` holds the sender, so waiting cannot fail.
                    let _ = reach.writes.subscribe().wait_for(|count| *count == 0).await;
                }
                let answer = gated(&reach, call);
                let answer = match turn {
                    Some(turn) => turn.run(answer).await,
                    None => answer.await,
                };
                if let Some(error) = answer.as_ref().err().filter(|error| error.is_retryable()) {
                    // The first failure explains the later ones.
                    let _ = reach.storage.set(error.to_string());
                }
                answer
            }
        };
        drop(write);
        reply(&host, stream, answer, share);
    });
}

/// Answers a call once the run's other calls leave a free permit. Callers complete all other waits first: a call that
/// waits for another one must not hold a permit.
async fn gated(reach: &Reach, call: HostCall) -> Result<Bytes> {
    // The semaphore is never closed.
    let _place = reach.gate.acquire().await;
    answer(&reach.context, call).await
}

fn reply(host: &Host, stream: u32, answer: Result<Bytes>, share: Share) {
    let frame = match answer {
        Ok(payload) => Frame::new(Kind::Reply, stream, payload),
        Err(error) => {
            match error.is_retryable() || error.kind() == langopen_core::ErrorKind::Internal {
                true => warn!(host = host.number, %error, "a call from a graph host failed"),
                false => debug!(host = host.number, %error, "a call from a graph host was refused"),
            }
            let error = CallError { error: error.kind().as_str().to_owned(), message: error.to_string() };
            Frame::new(Kind::Error, stream, rmp_serde::to_vec_named(&error).unwrap_or_default())
        }
    };
    let share = Some(share.resize(frame.payload.len()));
    // If the connection is closed, no answer is needed.
    host.send(Outgoing { frame, share });
}

fn reach(host: &Host, caller: Caller) -> Result<Reach> {
    let run = caller.run.and_then(|handle| host.runs.lock().get(&handle).map(|run| run.reach.clone()));
    let call = || caller.call.and_then(|id| host.waiting.lock().get(&id).and_then(|waiting| waiting.reach.clone()));
    run.or_else(call).ok_or_else(|| Error::conflict("host.serve", "the run or call of this host call has ended"))
}

/// Answers a call from the storage. The context adds the run's lease to each change.
async fn answer(context: &ExecutionContext, call: HostCall) -> Result<Bytes> {
    match call {
        HostCall::GetCheckpoint(call) => {
            let thread_id = thread(&call.thread_id)?;
            let key = CheckpointKey { thread_id, checkpoint_ns: call.checkpoint_ns, checkpoint_id: call.checkpoint_id };
            let found = context.checkpoint(&key).await?;
            encode(&found.as_ref().map(checkpoint_reply))
        }
        HostCall::ListCheckpoints(call) => {
            let thread_id = thread(&call.thread_id)?;
            let list = CheckpointList {
                checkpoint_ns: call.checkpoint_ns,
                checkpoint_id: call.checkpoint_id,
                before: call.before,
                metadata: object(call.filter.as_ref())?,
                limit: call.limit,
            };
            let found = context.list_checkpoints(thread_id, &list).await?;
            encode(&found.iter().map(checkpoint_reply).collect::<Vec<_>>())
        }
        HostCall::PutCheckpoint(call) => {
            let blob = |(channel, version, kind, bytes): (String, String, String, ByteBuf)| Blob {
                channel,
                version,
                kind,
                bytes: bytes.into_vec().into(),
            };
            let new = NewCheckpoint {
                thread_id: thread(&call.thread_id)?,
                checkpoint_ns: call.checkpoint_ns,
                checkpoint_id: call.checkpoint_id,
                parent_checkpoint_id: call.parent_checkpoint_id,
                run_id: None,
                attempt: None,
                kind: call.r#type,
                bytes: call.checkpoint.into_vec().into(),
                metadata: payload::raw(call.metadata.into_vec().into())?,
                channel_versions: call.channel_versions.into_iter().collect(),
                blobs: call.blobs.into_iter().map(blob).collect(),
            };
            context.put_checkpoint(new).await?;
            encode(&())
        }
        HostCall::PutWrites(call) => {
            let write = |(index, channel, kind, bytes): (i64, String, String, ByteBuf)| PendingWrite {
                task_id: call.task_id.clone(),
                index,
                channel,
                kind,
                bytes: bytes.into_vec().into(),
            };
            let writes = PendingWrites {
                thread_id: thread(&call.thread_id)?,
                checkpoint_ns: call.checkpoint_ns,
                checkpoint_id: call.checkpoint_id,
                run_id: None,
                attempt: None,
                task_path: call.task_path,
                writes: call.writes.into_iter().map(write).collect(),
            };
            context.put_writes(writes).await?;
            encode(&())
        }
        HostCall::DeleteThread(call) => {
            context.delete_checkpoints(thread(&call.thread_id)?).await?;
            encode(&())
        }
        HostCall::GetItem(call) => {
            let item = context.item(&call.namespace, &call.key, call.refresh_ttl).await?;
            encode(&item.as_ref().map(|item| item_reply(item, None)))
        }
        HostCall::PutItem(call) => {
            match call.value {
                None => context.delete_item(&call.namespace, &call.key).await?,
                Some(value) if value.len() > MAX_ITEM => {
                    let message = format!("the item's value has {} bytes; it may have {MAX_ITEM}", value.len());
                    return Err(Error::invalid("host.serve", message));
                }
                Some(value) => {
                    let value = payload::raw(value.into_vec().into())?;
                    let vector = |(path, vector)| FieldVector { path, vector };
                    let new = NewStoreItem {
                        namespace: call.namespace,
                        key: call.key,
                        value,
                        ttl_minutes: call.ttl,
                        vectors: call.vectors.into_iter().map(vector).collect(),
                        lease: None,
                    };
                    context.put_item(new).await?;
                }
            }
            encode(&())
        }
        HostCall::SearchItems(call) => {
            if call.query.is_some() && call.vector.is_none() {
                debug!("a store search names a query, but no store index is configured; it is answered without scores");
            }
            let query = StoreItemQuery {
                namespace_prefix: call.namespace_prefix,
                filters: item_filters(object(call.filter.as_ref())?)?,
                vector: call.vector,
                limit: call.limit,
                offset: call.offset,
                refresh_ttl: call.refresh_ttl,
            };
            let found = context.search_items(&query).await?;
            encode(&found.items.iter().map(|found| item_reply(&found.item, found.score)).collect::<Vec<_>>())
        }
        HostCall::ListNamespaces(call) => {
            let query = NamespaceQuery {
                prefix: call.prefix.unwrap_or_default(),
                suffix: call.suffix.unwrap_or_default(),
                max_depth: call.max_depth,
                limit: call.limit,
                offset: call.offset,
            };
            encode(&context.list_namespaces(&query).await?)
        }
    }
}

fn thread(id: &str) -> Result<ThreadId> {
    id.parse()
        .map_err(|error| Error::invalid("host.serve", format!("thread_id {id:?} is not a UUID")).with_source(error))
}

fn object(json: Option<&ByteBuf>) -> Result<JsonMap> {
    json.map_or_else(|| Ok(JsonMap::new()), |json| from_json("host.serve", json))
}

/// The filter in the form of the store: for each key, a value to equal or an object of operators.
fn item_filters(filter: JsonMap) -> Result<Vec<ItemFilter>> {
    let mut filters = Vec::new();
    for (key, wanted) in filter {
        match wanted {
            serde_json::Value::Object(operators) if operators.keys().any(|name| name.starts_with('$')) => {
                for (name, value) in operators {
                    let operator = FilterOperator::parse(&name).ok_or_else(|| {
                        let known = "$eq, $ne, $gt, $gte, $lt, $lte";
                        Error::invalid("host.serve", format!("filter operator {name:?} is not one of {known}"))
                    })?;
                    filters.push(ItemFilter { key: key.clone(), operator, value });
                }
            }
            value => filters.push(ItemFilter { key, operator: FilterOperator::Equal, value }),
        }
    }
    Ok(filters)
}

fn encode(value: &impl Serialize) -> Result<Bytes> {
    rmp_serde::to_vec_named(value).map(Bytes::from).map_err(|error| {
        Error::internal("host.serve", "the answer cannot be encoded as MessagePack").with_source(error)
    })
}

fn checkpoint_reply(found: &CheckpointTuple) -> CheckpointReply<'_> {
    let bytes = |bytes| serde_bytes::Bytes::new(bytes);
    CheckpointReply {
        thread_id: found.thread_id.to_string(),
        checkpoint_ns: &found.checkpoint_ns,
        checkpoint_id: &found.checkpoint_id,
        parent_checkpoint_id: found.parent_checkpoint_id.as_deref(),
        latest_id: found.latest_id.as_deref(),
        r#type: &found.kind,
        checkpoint: bytes(&found.bytes),
        metadata: bytes(found.metadata.as_str().as_bytes()),
        channel_values: found
            .channel_values
            .iter()
            .map(|value| (value.channel.as_str(), value.kind.as_str(), bytes(&value.bytes)))
            .collect(),
        pending_writes: found
            .pending_writes
            .iter()
            .map(|write| (write.task_id.as_str(), write.channel.as_str(), write.kind.as_str(), bytes(&write.bytes)))
            .collect(),
    }
}

fn item_reply(item: &StoreItem, score: Option<f64>) -> ItemReply<'_> {
    ItemReply {
        namespace: &item.namespace,
        key: &item.key,
        value: serde_bytes::Bytes::new(item.value.as_str().as_bytes()),
        created_at: item.created_at.to_string(),
        updated_at: item.updated_at.to_string(),
        score,
    }
}
