//! Limits the bytes of request bodies that a server holds at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{Extensions, StatusCode};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::error::{Failure, Result};

/// The bytes per permit. A semaphore has fewer permits than a body may have bytes.
const UNIT: usize = 1024;

/// The `Retry-After` for a body that exceeds the free budget.
const ROOM_SOON: Duration = Duration::from_secs(1);

/// Limits the bytes of request bodies in flight, over all requests that share the budget. A request that exceeds it
/// gets 429. Clones share one budget: give one to every [`AgentServer`](crate::AgentServer) of a process.
///
/// A body counts as its bytes arrive, so a client that only announces a large body uses nothing. It counts until the
/// server has answered its request. If the answer is a stream, it counts until the stream begins.
#[derive(Clone)]
pub struct BodyBudget {
    free: Arc<Semaphore>,
    units: u32,
}

impl BodyBudget {
    /// A budget of `bytes`, rounded up to KiB, up to 4 TiB.
    pub fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let units = units.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// The number of bytes in flight now.
    pub fn in_flight(&self) -> usize {
        (self.units as usize).saturating_sub(self.free.available_permits()) * UNIT
    }

    /// A share of this budget, which is empty at first.
    pub(crate) fn hold(&self) -> HeldBytes {
        HeldBytes { budget: self.clone(), permit: None, units: 0 }
    }
}

impl Default for BodyBudget {
    /// 1 GiB.
    fn default() -> Self {
        Self::new(1 << 30)
    }
}

impl fmt::Debug for BodyBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyBudget").field("kib", &self.units).field("in_flight", &self.in_flight()).finish()
    }
}

/// Bytes that count against a budget until this value is dropped.
pub(crate) struct HeldBytes {
    budget: BodyBudget,
    permit: Option<OwnedSemaphorePermit>,
    units: u32,
}

impl HeldBytes {
    /// Raises the share to `bytes` in total.
    ///
    /// # Errors
    /// 429 if the free budget is too small, 413 if the whole budget is too small.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let most = self.budget.units as usize * UNIT;
        let too_large = || Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Request body exceeds {most} bytes"));
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok().filter(|units| *units <= self.budget.units);
        let more = units.ok_or_else(too_large)?.saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let taken = Arc::clone(&self.budget.free).try_acquire_many_owned(more);
        let taken = taken.map_err(|_| {
            let detail = format!("Request bodies in flight have reached the limit of {most} bytes; try again");
            Failure::too_many(detail, ROOM_SOON)
        })?;
        match &mut self.permit {
            Some(permit) => permit.merge(taken),
            None => self.permit = Some(taken),
        }
        self.units += more;
        Ok(())
    }
}

/// Holds the share of a request's body until the request is answered.
#[derive(Clone, Default)]
pub(crate) struct BodySlot(Arc<Mutex<Vec<HeldBytes>>>);

impl BodySlot {
    /// Holds `bytes` until the request is answered. A request without a slot releases them at once.
    pub(super) fn hold(extensions: &Extensions, bytes: HeldBytes) {
        if let Some(slot) = extensions.get::<Self>() {
            slot.0.lock().push(bytes);
        }
    }
}

/// Holds the share of each request's body until the request is answered.
pub(crate) async fn hold_bodies(mut request: Request, next: Next) -> Response {
    let slot = BodySlot::default();
    request.extensions_mut().insert(slot.clone());
    let response = next.run(request).await;
    slot.0.lock().clear();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_until_they_are_let_go() {
        let budget = BodyBudget::new(10 * UNIT);
        let (mut one, mut other) = (budget.hold(), budget.hold());
        one.grow_to(1).unwrap();
        one.grow_to(UNIT).unwrap();
        assert_eq!(budget.in_flight(), UNIT);
        one.grow_to(6 * UNIT).unwrap();
        assert_eq!(other.grow_to(5 * UNIT).unwrap_err().status(), 429);
        assert_eq!(other.grow_to(11 * UNIT).unwrap_err().status(), 413);
        other.grow_to(4 * UNIT).unwrap();
        assert_eq!(budget.in_flight(), 10 * UNIT);
        drop(one);
        other.grow_to(10 * UNIT).unwrap();
        drop(other);
        assert_eq!(budget.in_flight(), 0);
    }
}
