//! The names of this crate's metrics.

use ::metrics::{Unit, describe_counter, describe_histogram};

pub(crate) const ATTEMPTS: &str = "langopen_run_attempts_total";
pub(crate) const RETRIES: &str = "langopen_run_retries_total";
pub(crate) const QUEUE_WAIT: &str = "langopen_run_queue_wait_seconds";
pub(crate) const RUNS_ENDED: &str = "langopen_runs_ended_total";
pub(crate) const RUN_DURATION: &str = "langopen_run_duration_seconds";
pub(crate) const EVENTS: &str = "langopen_events_appended_total";
pub(crate) const LEASES_LOST: &str = "langopen_leases_lost_total";
pub(crate) const CRON_FIRINGS: &str = "langopen_cron_firings_total";
pub(crate) const SWEEPS: &str = "langopen_sweeps_total";
pub(crate) const WEBHOOK_ATTEMPTS: &str = "langopen_webhook_attempts_total";
pub(crate) const LOGS_SWEPT: &str = "langopen_event_logs_swept_total";
pub(crate) const THREADS_SWEPT: &str = "langopen_threads_swept_total";
pub(crate) const ITEMS_SWEPT: &str = "langopen_store_items_swept_total";

/// Describes this crate's metrics to the installed recorder of the `metrics` crate. Call it once, after you install the
/// recorder.
pub fn describe_metrics() {
    describe_counter!(ATTEMPTS, Unit::Count, "Attempts that began, by graph.");
    describe_counter!(RETRIES, Unit::Count, "Attempts that the platform lost and that are repeated, by graph.");
    describe_histogram!(QUEUE_WAIT, Unit::Seconds, "Time from when a run became due to its first attempt, by graph.");
    describe_counter!(RUNS_ENDED, Unit::Count, "Runs that ended, by graph and status.");
    describe_histogram!(
        RUN_DURATION,
        Unit::Seconds,
        "Time from the start of a run's last attempt to its end, by graph and status."
    );
    describe_counter!(EVENTS, Unit::Count, "Events appended to the logs of runs, by graph.");
    describe_counter!(LEASES_LOST, Unit::Count, "Lost leases: the run was deleted, or another worker claimed it.");
    describe_counter!(CRON_FIRINGS, Unit::Count, "Due times of crons, by outcome: fired or passed_over.");
    describe_counter!(SWEEPS, Unit::Count, "Sweeps of expired data, by outcome.");
    describe_counter!(WEBHOOK_ATTEMPTS, Unit::Count, "Attempts to deliver webhooks, by outcome.");
    describe_counter!(LOGS_SWEPT, Unit::Count, "Event logs that sweeps removed.");
    describe_counter!(THREADS_SWEPT, Unit::Count, "Threads that sweeps removed or reduced to their latest state.");
    describe_counter!(ITEMS_SWEPT, Unit::Count, "Store items that sweeps removed.");
}
