//! The names of this crate's metrics.

use ::metrics::{Unit, describe_counter, describe_histogram};

/// How long a batch of writes took, from its begin to its commit.
pub(crate) const WRITE_BATCH_DURATION: &str = "langopen_database_write_batch_duration_seconds";
/// How many writes shared a batch.
pub(crate) const WRITE_BATCH_SIZE: &str = "langopen_database_write_batch_size";
/// Batches that were rolled back.
pub(crate) const WRITE_FAILURES: &str = "langopen_database_write_failures_total";

/// Describes this crate's metrics to the recorder of the `metrics` crate that is installed. Call it once, after
/// installing one.
pub fn describe_metrics() {
    describe_histogram!(
        WRITE_BATCH_DURATION,
        Unit::Seconds,
        "How long a batch of database writes took, its commit included."
    );
    describe_histogram!(WRITE_BATCH_SIZE, Unit::Count, "How many database writes shared a transaction.");
    describe_counter!(WRITE_FAILURES, Unit::Count, "Batches of database writes that were rolled back.");
}
