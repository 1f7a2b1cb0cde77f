//! How events, such as the end of a run, change a thread's row, and how a search selects and sorts threads.

use std::cmp::Ordering;

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::filter::contains_all;
use langopen_core::ids::ThreadId;
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{
    CancelAction, Page, RunError, SortOrder, Thread, ThreadQuery, ThreadSort, ThreadStatus, ThreadTtl,
};
use langopen_core::queue::Outcome;
use serde_json::Value;

use super::documents::{cannot_sort, page};

/// The row of a new thread: idle, without values.
pub fn row(thread_id: ThreadId, metadata: JsonMap, config: JsonMap, ttl: Option<ThreadTtl>, now: Timestamp) -> Thread {
    Thread {
        thread_id,
        created_at: now,
        updated_at: now,
        state_updated_at: now,
        metadata,
        status: ThreadStatus::Idle,
        config,
        values: None,
        interrupts: None,
        error: None,
        ttl,
        pruned_at: None,
    }
}

/// The change of the latest state that is stored in a thread's row.
#[derive(Debug)]
pub enum StateChange {
    /// The stored state stays as it is.
    Leave,
    /// The stored state is deleted, because it no longer describes the values.
    Clear,
    /// The stored state describes this root checkpoint, together with the new values.
    Set {
        /// The checkpoint's id.
        checkpoint_id: String,
        /// The `ThreadState` of the wire format without its values.
        rest: RawJson,
    },
}

/// The columns of a thread's row that the end of a run sets.
#[derive(Debug)]
pub struct ThreadChange {
    /// The thread's status.
    pub status: ThreadStatus,
    /// The error that the thread shows.
    pub error: Option<RawJson>,
    /// The open interrupts by task id.
    pub interrupts: RawJson,
    /// `None` leaves the values as they are.
    pub values: Option<RawJson>,
    /// The change of the state.
    pub state: StateChange,
}

/// The change that the end of a run causes.
pub fn after(outcome: Outcome, others_in_flight: bool) -> ThreadChange {
    let (values, state) = match (outcome.rollback, outcome.state, outcome.values) {
        // The thread keeps its previous values, which clients expect. If a rollback removes the checkpoint of the
        // state, it removes the state too.
        (true, _, _) | (false, None, None) => (None, StateChange::Leave),
        (false, Some(state), _) => {
            (Some(state.values), StateChange::Set { checkpoint_id: state.checkpoint_id, rest: state.rest })
        }
        // The row stores a state as its values and the rest. Other values make the stored rest wrong.
        (false, None, Some(values)) => (Some(values), StateChange::Clear),
    };
    ThreadChange {
        status: if others_in_flight { ThreadStatus::Busy } else { outcome.thread_status },
        error: outcome.error.as_ref().map(error_json),
        interrupts: outcome.interrupts,
        values,
        state,
    }
}

/// The status of a thread without runs in flight, computed from its row.
pub fn settled(error: Option<&RawJson>, interrupts: Option<&RawJson>, rest: Option<&RawJson>) -> ThreadStatus {
    let cancels = [CancelAction::Interrupt, CancelAction::Rollback].map(CancelAction::error_class);
    let failed = error
        .and_then(|error| error.decode::<RunError>().ok())
        .is_some_and(|error| !cancels.contains(&error.error.as_str()));
    let open = interrupts.and_then(|interrupts| interrupts.decode::<JsonMap>().ok()).is_some_and(|map| !map.is_empty());
    let next = rest
        .and_then(|rest| rest.decode::<JsonMap>().ok())
        .is_some_and(|rest| rest.get("next").and_then(Value::as_array).is_some_and(|next| !next.is_empty()));
    match (failed, open || next) {
        (true, _) => ThreadStatus::Error,
        (false, true) => ThreadStatus::Interrupted,
        (false, false) => ThreadStatus::Idle,
    }
}

/// A failure in the form of the thread's `error` column.
pub fn error_json(error: &RunError) -> RawJson {
    // Two strings always have a JSON form.
    RawJson::of(error).unwrap_or_default()
}

/// An object without keys.
pub fn empty_object() -> RawJson {
    RawJson::from(Value::Object(JsonMap::new()))
}

/// Whether a thread's values contain `wanted`. A thread without values contains only an empty `wanted`.
pub fn values_contain(values: Option<&RawJson>, wanted: &JsonMap) -> bool {
    wanted.is_empty()
        || values.and_then(|values| values.decode::<JsonMap>().ok()).is_some_and(|values| contains_all(&values, wanted))
}

/// Whether a thread matches the query.
pub fn answers(thread: &Thread, query: &ThreadQuery) -> bool {
    query.ids.as_ref().is_none_or(|ids| ids.contains(&thread.thread_id))
        && query.status.is_none_or(|status| status == thread.status)
        && contains_all(&thread.metadata, &query.metadata)
        && values_contain(thread.values.as_ref(), &query.values)
}

fn comparison(by: ThreadSort) -> Result<fn(&Thread, &Thread) -> Ordering> {
    Ok(match by {
        ThreadSort::ThreadId => |_, _| Ordering::Equal,
        ThreadSort::Status => |a, b| a.status.as_str().cmp(b.status.as_str()),
        ThreadSort::CreatedAt => |a, b| a.created_at.cmp(&b.created_at),
        ThreadSort::UpdatedAt => |a, b| a.updated_at.cmp(&b.updated_at),
        ThreadSort::StateUpdatedAt => |a, b| a.state_updated_at.cmp(&b.state_updated_at),
        by => return Err(cannot_sort("threads.search", by)),
    })
}

/// Selects the matching threads, sorts them and cuts out the page.
///
/// # Errors
/// - `Invalid`: the order is not known here.
pub fn search<'a>(threads: impl Iterator<Item = &'a Thread>, query: &ThreadQuery) -> Result<Page<Thread>> {
    let compare = comparison(query.sort_by)?;
    let mut found: Vec<_> = threads.filter(|thread| answers(thread, query)).collect();
    found.sort_by(|a, b| {
        let order = compare(a, b).then(a.thread_id.cmp(&b.thread_id));
        if query.sort_order == SortOrder::Desc { order.reverse() } else { order }
    });
    Ok(page(found.into_iter().cloned(), query.offset, query.limit))
}
