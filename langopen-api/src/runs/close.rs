//! Closing the streams of runs that no worker will end, and of threads that are gone.

use langopen_core::event_log::{LogKey, NewEvent};
use langopen_core::{ErrorKind, ThreadId};

use crate::protocol::NEVER_BEGUN;
use crate::server::App;

/// Before the first attempt of a run.
const NO_ATTEMPT: u32 = 0;

/// Closes the streams of runs that have ended or are gone. What was asked for is done by then, so a stream that cannot be closed is no failure:
/// its readers look at the run's row sooner or later.
pub(crate) async fn close_streams(app: &App, runs: impl IntoIterator<Item = LogKey>) {
    for log in runs {
        // A run that said nothing leaves nothing that its end could be kept with, and who comes back later would wait for it.
        let mark = NewEvent { name: NEVER_BEGUN.into(), data: "null".into() };
        match app.events.append(log, NO_ATTEMPT, true, vec![mark]).await {
            Ok(()) => {}
            // It has said something.
            Err(error) if error.kind() == ErrorKind::LeaseLost => {}
            Err(error) => {
                tracing::warn!(run.id = %log.run_id, error = %error, "the end of a run that never began was not kept");
            }
        }
        if let Err(error) = app.events.end(log).await {
            tracing::warn!(run.id = %log.run_id, error = %error, "the stream of a run that is over was not closed");
        }
    }
}

/// Closes the streams of threads that are gone, and of their runs. As with runs, readers of a stream that cannot be closed learn it from the rows.
pub(crate) async fn close_threads(app: &App, threads: &[ThreadId]) {
    if let Err(error) = app.events.remove_threads(threads).await {
        tracing::warn!(error = %error, "the streams of threads that are gone were not closed");
    }
}
