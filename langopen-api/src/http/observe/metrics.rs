//! The names of the metrics of requests.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) const REQUESTS: &str = "langopen_http_requests_total";
pub(super) const REQUEST_DURATION: &str = "langopen_http_request_duration_seconds";
pub(super) const REQUESTS_IN_FLIGHT: &str = "langopen_http_requests_in_flight";
pub(super) const STREAMS_OPEN: &str = "langopen_sse_streams_open";

/// Describes the metrics of requests to the installed recorder.
pub(crate) fn describe_requests() {
    describe_counter!(REQUESTS, Unit::Count, "HTTP requests answered, by method, route template and status.");
    describe_histogram!(
        REQUEST_DURATION,
        Unit::Seconds,
        "Time from a request to the head of its answer, by method, route template and status."
    );
    describe_gauge!(REQUESTS_IN_FLIGHT, Unit::Count, "Requests whose answer has not ended, including streams.");
    describe_gauge!(STREAMS_OPEN, Unit::Count, "Server-sent event streams that are open, by route template.");
}
