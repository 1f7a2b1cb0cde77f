//! Closing the streams of runs that no worker will end.

use langopen_core::RunId;

use crate::server::App;

/// Closes the streams of runs that have ended or are gone. What was asked for is done by then, so a stream that cannot be closed is no failure:
/// its readers look at the run's row sooner or later.
pub(crate) async fn close_streams(app: &App, runs: impl IntoIterator<Item = RunId>) {
    for run_id in runs {
        if let Err(error) = app.events.end(run_id).await {
            tracing::warn!(run.id = %run_id, error = %error, "the stream of a run that is over was not closed");
        }
    }
}
