//! Calls that may fail before or after their work.

use std::sync::Arc;

use langopen_core::error::{Error, Result};
use langopen_core::queue::CancelSignal;
use langopen_core::signals::Signal;

use super::Chaos;
use super::hints::{Broadcast, Wakes};

/// A part with injected failures. It implements every trait of `langopen-core` that the part implements.
pub struct Chaotic<T: ?Sized> {
    pub(super) chaos: Chaos,
    pub(super) inner: Arc<T>,
    pub(super) wakes: Wakes,
    pub(super) delivery_wakes: Wakes,
    pub(super) cron_wakes: Wakes,
    pub(super) cancels: Broadcast<CancelSignal>,
    pub(super) signals: Broadcast<Signal>,
}

impl<T: ?Sized> Chaotic<T> {
    pub(super) fn new(chaos: Chaos, inner: Arc<T>) -> Self {
        let (wakes, delivery_wakes, cron_wakes) = (Wakes::new(), Wakes::new(), Wakes::new());
        let (cancels, signals) = (Broadcast::new(), Broadcast::new());
        Self { chaos, inner, wakes, delivery_wakes, cron_wakes, cancels, signals }
    }

    /// The part without injected failures.
    pub fn inner(&self) -> &Arc<T> {
        &self.inner
    }

    /// Makes a call. The plan may delay it, suppress it, or discard its answer.
    pub(super) async fn call<R>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<R>> + Send,
    ) -> Result<R> {
        let fate = self.chaos.fate(operation);
        if !fate.before.is_zero() {
            tokio::time::sleep(fate.before).await;
        }
        if fate.refused {
            return Err(Error::unavailable(operation, "chaos: the call failed and did nothing"));
        }
        let answer = call.await;
        if !fate.after.is_zero() {
            tokio::time::sleep(fate.after).await;
        }
        if fate.unanswered {
            return Err(Error::unavailable(operation, "chaos: the answer was lost"));
        }
        answer
    }
}

/// Implements a trait: each of its methods goes through [`Chaotic::call`].
macro_rules! chaotic {
    ($trait:ident { $($operation:literal $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+ $(=> { $($rest:tt)* })? }) => {
        #[async_trait::async_trait]
        impl<T: $trait + ?Sized> $trait for $crate::chaos::Chaotic<T> {
            $(async fn $method(&self, $($argument: $type),*) -> langopen_core::error::Result<$answer> {
                self.call($operation, self.inner.$method($($argument),*)).await
            })+
            $($($rest)*)?
        }
    };
}

pub(super) use chaotic;
