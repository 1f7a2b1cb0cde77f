//! The calls of hosts as operations of the storage.

use bytes::Bytes;
use langopen_core::executor::ExecutionContext;
use langopen_core::model::{
    Blob, CheckpointKey, CheckpointList, CheckpointTuple, FieldVector, FilterOperator, ItemFilter, ItemReadOptions,
    NamespaceQuery, NewCheckpoint, NewStoreItem, PendingWrite, PendingWrites, StoreItem, StoreItemQuery,
};
use langopen_core::{Error, JsonMap, RawJson, Result, ThreadId};
use serde::Serialize;
use serde_bytes::ByteBuf;
use tracing::debug;

use crate::frame::payload::{
    self, CheckpointReply, GetCheckpoint, HostCall, ItemReply, ListCheckpoints, ListNamespaces, PutCheckpoint, PutItem,
    PutWrites, SearchItems, from_json,
};

/// The longest value of a store item, in bytes.
const MAX_ITEM: usize = 16 * 1024 * 1024;

/// Answers a call from the storage. The context adds the run's lease to each change.
pub(super) async fn answer(context: &ExecutionContext, call: HostCall) -> Result<Bytes> {
    match call {
        HostCall::GetCheckpoint(call) => {
            let found = context.checkpoint(&checkpoint_key(call)?).await?;
            encode(&found.as_ref().map(checkpoint_reply))
        }
        HostCall::ListCheckpoints(call) => {
            let (thread_id, list) = checkpoint_list(call)?;
            let found = context.list_checkpoints(thread_id, &list).await?;
            encode(&found.iter().map(checkpoint_reply).collect::<Vec<_>>())
        }
        HostCall::PutCheckpoint(call) => {
            context.put_checkpoint(new_checkpoint(call)?).await?;
            encode(&())
        }
        HostCall::PutWrites(call) => {
            context.put_writes(pending_writes(call)?).await?;
            encode(&())
        }
        HostCall::DeleteThread(call) => {
            context.delete_checkpoints(thread(&call.thread_id)?).await?;
            encode(&())
        }
        HostCall::GetItem(call) => {
            let options = ItemReadOptions::default().with_refresh_ttl(call.refresh_ttl);
            let item = context.item(&call.namespace, &call.key, options).await?;
            encode(&item.as_ref().map(|item| item_reply(item, None)))
        }
        HostCall::PutItem(PutItem { value: None, namespace, key, .. }) => {
            context.delete_item(&namespace, &key).await?;
            encode(&())
        }
        HostCall::PutItem(PutItem { value: Some(value), namespace, key, ttl, vectors, .. }) => {
            let vectors = vectors.into_iter().map(|(path, vector)| FieldVector { path, vector }).collect();
            let value = item_value(value)?;
            let new = NewStoreItem { namespace, key, value, ttl_minutes: ttl, vectors, lease: None };
            context.put_item(new).await?;
            encode(&())
        }
        HostCall::SearchItems(call) => {
            let found = context.search_items(&item_query(call)?).await?;
            encode(&found.items.iter().map(|found| item_reply(&found.item, found.score)).collect::<Vec<_>>())
        }
        HostCall::ListNamespaces(call) => encode(&context.list_namespaces(&namespace_query(call)).await?),
    }
}

fn checkpoint_key(call: GetCheckpoint) -> Result<CheckpointKey> {
    let thread_id = thread(&call.thread_id)?;
    Ok(CheckpointKey { thread_id, checkpoint_ns: call.checkpoint_ns, checkpoint_id: call.checkpoint_id })
}

fn checkpoint_list(call: ListCheckpoints) -> Result<(ThreadId, CheckpointList)> {
    let list = CheckpointList::default()
        .with_checkpoint_ns(call.checkpoint_ns)
        .with_checkpoint_id(call.checkpoint_id)
        .with_before(call.before)
        .with_metadata(object(call.filter.as_ref())?)
        .with_limit(call.limit);
    Ok((thread(&call.thread_id)?, list))
}

fn new_checkpoint(call: PutCheckpoint) -> Result<NewCheckpoint> {
    let blob = |(channel, version, kind, bytes): (String, String, String, ByteBuf)| Blob {
        channel,
        version,
        kind,
        bytes: bytes.into_vec().into(),
    };
    Ok(NewCheckpoint {
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
    })
}

fn pending_writes(call: PutWrites) -> Result<PendingWrites> {
    let write = |(index, channel, kind, bytes): (i64, String, String, ByteBuf)| PendingWrite {
        task_id: call.task_id.clone(),
        index,
        channel,
        kind,
        bytes: bytes.into_vec().into(),
    };
    Ok(PendingWrites {
        thread_id: thread(&call.thread_id)?,
        checkpoint_ns: call.checkpoint_ns,
        checkpoint_id: call.checkpoint_id,
        run_id: None,
        attempt: None,
        task_path: call.task_path,
        writes: call.writes.into_iter().map(write).collect(),
    })
}

fn item_value(value: ByteBuf) -> Result<RawJson> {
    if value.len() > MAX_ITEM {
        let message = format!("the item's value has {} bytes; it may have {MAX_ITEM}", value.len());
        return Err(Error::invalid("host.serve", message));
    }
    payload::raw(value.into_vec().into())
}

fn item_query(call: SearchItems) -> Result<StoreItemQuery> {
    if call.query.is_some() && call.vector.is_none() {
        debug!("a store search names a query, but no store index is configured; it is answered without scores");
    }
    Ok(StoreItemQuery::default()
        .with_namespace_prefix(call.namespace_prefix)
        .with_filters(item_filters(object(call.filter.as_ref())?)?)
        .with_vector(call.vector)
        .with_limit(call.limit)
        .with_offset(call.offset)
        .with_refresh_ttl(call.refresh_ttl))
}

fn namespace_query(call: ListNamespaces) -> NamespaceQuery {
    NamespaceQuery::default()
        .with_prefix(call.prefix.unwrap_or_default())
        .with_suffix(call.suffix.unwrap_or_default())
        .with_max_depth(call.max_depth)
        .with_limit(call.limit)
        .with_offset(call.offset)
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
