//! When crons fire, and how a search selects and sorts crons.

use std::cmp::Ordering;

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::filter::contains_all;
use langopen_core::ids::CronId;
use langopen_core::json::{RawJson, RawObject};
use langopen_core::model::{Cron, CronFiring, CronPatch, CronQuery, CronSort, NewCron, Page, SortOrder};
use langopen_core::schedule::Schedule;

use super::documents::{cannot_sort, merge, page};

/// The row of a new cron.
pub fn row(new: NewCron, now: Timestamp) -> Result<Cron> {
    let mut cron = Cron {
        cron_id: new.cron_id,
        assistant_id: new.assistant_id,
        thread_id: new.thread_id,
        creator: new.creator,
        schedule: new.schedule,
        timezone: new.timezone,
        end_time: new.end_time,
        payload: new.payload,
        metadata: new.metadata,
        on_run_completed: new.on_run_completed,
        enabled: new.enabled,
        next_run_date: None,
        created_at: now,
        updated_at: now,
    };
    must_fire(&cron, now)?;
    cron.next_run_date = cron.next_after(now)?;
    Ok(cron)
}

/// Refuses a schedule that never fires. Ignores the cron's `end_time`.
fn must_fire(cron: &Cron, now: Timestamp) -> Result<()> {
    match Schedule::parse(&cron.schedule, cron.timezone.as_deref())?.next_after(now) {
        Some(_) => Ok(()),
        None => {
            let message = format!("Invalid cron schedule: '{}'. Reason: It never fires.", cron.schedule);
            Err(Error::invalid("crons.schedule", message))
        }
    }
}

/// The row after the patch.
pub fn patched(mut cron: Cron, patch: CronPatch, now: Timestamp) -> Result<Cron> {
    let another_schedule = patch.schedule.is_some() || patch.timezone.is_some();
    let begins_again = patch.enabled == Some(true) && !cron.enabled;
    cron.schedule = patch.schedule.unwrap_or(cron.schedule);
    cron.timezone = patch.timezone.or(cron.timezone);
    cron.enabled = patch.enabled.unwrap_or(cron.enabled);
    cron.end_time = patch.end_time.unwrap_or(cron.end_time);
    if cron.on_run_completed.is_some() {
        cron.on_run_completed = patch.on_run_completed.or(cron.on_run_completed);
    }
    merge(&mut cron.metadata, patch.metadata);
    if !patch.payload.is_empty() {
        let damaged = |error| Error::internal("crons.update", "a payload is damaged").with_source(error);
        let mut payload: RawObject = cron.payload.decode().map_err(damaged)?;
        payload.extend(patch.payload);
        cron.payload = RawJson::of(&payload).map_err(damaged)?;
    }
    if another_schedule {
        must_fire(&cron, now)?;
    }
    let held = cron.next_run_date.filter(|next| cron.end_time.is_none_or(|end| *next < end));
    cron.next_run_date = match held {
        Some(next) if !another_schedule && !begins_again => Some(next),
        _ => cron.next_after(now)?,
    };
    cron.updated_at = now;
    Ok(cron)
}

/// Checks that the cron is due at the moment of the firing. `None` stands for a cron that does not exist.
pub fn check_firing(operation: &'static str, cron: Option<&Cron>, firing: CronFiring, now: Timestamp) -> Result<()> {
    match cron {
        Some(cron) if cron.next_run_date == Some(firing.due) && firing.due <= now && cron.may_fire(now) => Ok(()),
        _ => Err(Error::conflict(operation, format!("cron {} is not due at {}", firing.cron_id, firing.due))),
    }
}

/// The error for a cron that does not exist.
pub fn not_found(operation: &'static str, id: CronId) -> Error {
    Error::not_found(operation, format!("there is no cron {id}"))
}

/// The error when another cron has the same id.
pub fn taken(operation: &'static str, id: CronId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("cron {id} exists already"))
}

/// Whether a cron matches the query.
pub fn answers(cron: &Cron, query: &CronQuery) -> bool {
    query.assistant_id.is_none_or(|id| id == cron.assistant_id)
        && query.thread_id.is_none_or(|id| Some(id) == cron.thread_id)
        && query.enabled.is_none_or(|enabled| enabled == cron.enabled)
        && contains_all(&cron.metadata, &query.metadata)
}

/// Compares in the given direction. A missing value sorts last in both directions.
fn directed<T: Ord>(a: Option<T>, b: Option<T>, order: SortOrder) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if order == SortOrder::Desc => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

fn comparison(by: CronSort) -> Result<fn(&Cron, &Cron, SortOrder) -> Ordering> {
    Ok(match by {
        CronSort::CronId => |_, _, _| Ordering::Equal,
        CronSort::AssistantId => |a, b, order| directed(Some(a.assistant_id), Some(b.assistant_id), order),
        CronSort::ThreadId => |a, b, order| directed(a.thread_id, b.thread_id, order),
        CronSort::NextRunDate => |a, b, order| directed(a.next_run_date, b.next_run_date, order),
        CronSort::EndTime => |a, b, order| directed(a.end_time, b.end_time, order),
        CronSort::CreatedAt => |a, b, order| directed(Some(a.created_at), Some(b.created_at), order),
        CronSort::UpdatedAt => |a, b, order| directed(Some(a.updated_at), Some(b.updated_at), order),
        by => return Err(cannot_sort("crons.search", by)),
    })
}

/// Selects the matching crons, sorts them and cuts out the page. Every backend uses this instead of SQL, because an
/// installation has few crons.
///
/// # Errors
/// - `Invalid`: the order is not known here.
pub fn search(crons: impl Iterator<Item = Cron>, query: &CronQuery) -> Result<Page<Cron>> {
    let (compare, order) = (comparison(query.sort_by)?, query.sort_order);
    let mut found: Vec<_> = crons.filter(|cron| answers(cron, query)).collect();
    found.sort_by(|a, b| compare(a, b, order).then(directed(Some(a.cron_id), Some(b.cron_id), order)));
    Ok(page(found, query.offset, query.limit))
}
