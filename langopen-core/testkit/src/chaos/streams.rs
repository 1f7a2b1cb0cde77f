//! Streams that may break off.

use futures::StreamExt;
use futures::stream::BoxStream;
use langopen_core::error::{Error, Result};

use super::Chaos;

/// How a stream breaks off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// Always with an error, because an end would have another meaning.
    Error,
    /// With an error, or with a silent end.
    ErrorOrEnd,
}

/// The stream, up to the item where the plan breaks it off.
pub(super) fn broken<I: Send + 'static>(
    chaos: &Chaos,
    operation: &'static str,
    kind: Break,
    stream: BoxStream<'static, Result<I>>,
) -> BoxStream<'static, Result<I>> {
    let Some((items, reports)) = chaos.breaks(operation) else { return stream };
    let chaos = chaos.clone();
    let state = Some((stream, items));
    futures::stream::unfold(state, move |state| {
        let chaos = chaos.clone();
        async move {
            let (mut stream, left) = state?;
            // If the stream itself ends first, it is not broken.
            let item = stream.next().await?;
            if left > 0 {
                return Some((item, Some((stream, left - 1))));
            }
            chaos.broke();
            let reports = reports || kind == Break::Error;
            reports.then(|| (Err(Error::unavailable(operation, "chaos: the stream broke off")), None))
        }
    })
    .boxed()
}
