//! The conformance suite: the promises of the traits, as tests for any backend.
//!
//! Each test is a free async function. It receives a new, empty [`Backend`] and panics with a message if the backend
//! breaks a promise. [`run_all`] runs all tests:
//!
//! ```no_run
//! # use langopen_backends::memory::{Memory, MemoryEventLog};
//! # use langopen_core::clock::{Clock, ManualClock, Timestamp};
//! # use langopen_testkit::conformance::{Backend, run_all};
//! # use std::{sync::Arc, time::Duration};
//! # async fn example() {
//! run_all(async || {
//!     let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
//!     let memory = Arc::new(Memory::with_clock(clock.clone()));
//!     let event_log = MemoryEventLog::new().with_clock(clock.clone()).with_retention(Duration::from_secs(60));
//!     Backend {
//!         storage: memory.clone(),
//!         queue: memory.clone(),
//!         outbox: memory,
//!         event_log: Arc::new(event_log),
//!         clock,
//!         retention: Duration::from_secs(60),
//!     }
//! })
//! .await;
//! # }
//! ```

pub mod api_keys;
pub mod assistants;
pub mod checkpoints;
pub mod cron_firings;
pub mod crons;
pub mod deployments;
pub mod event_log;
mod events;
pub mod latest_state;
pub mod outbox;
pub mod queue_ends;
pub mod queue_leases;
pub mod queue_order;
pub mod queue_stats;
pub mod queue_strategies;
pub mod queue_turns;
pub mod retention;
pub mod runs;
pub mod scopes;
pub mod store_items;
mod support;
pub mod thread_log;
pub mod thread_search;
pub mod threads;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use langopen_core::clock::ManualClock;
use langopen_core::event_log::EventLog;
use langopen_core::outbox::Outbox;
use langopen_core::queue::Queue;
use langopen_core::storage::Storage;

/// The parts of one backend: empty, and with a clock that the test controls.
#[derive(Clone)]
pub struct Backend {
    /// The storage.
    pub storage: Arc<dyn Storage>,
    /// The queue over the same rows.
    pub queue: Arc<dyn Queue>,
    /// The webhooks that the queue writes.
    pub outbox: Arc<dyn Outbox>,
    /// The event log.
    pub event_log: Arc<dyn EventLog>,
    /// The clock of all these parts.
    pub clock: Arc<ManualClock>,
    /// How long the event log retains the events of a resumable run after its end.
    pub retention: Duration,
}

/// A test of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its module and name.
    pub name: &'static str,
    /// Runs the test; it panics if the backend breaks a promise.
    pub run: fn(Backend) -> BoxFuture<'static, ()>,
}

macro_rules! cases {
    ($($module:ident: $($name:ident),+;)+) => {
        /// Every test of the suite.
        pub const CASES: &[Case] = &[
            $($(Case {
                name: concat!(stringify!($module), "::", stringify!($name)),
                run: |backend| Box::pin(async move { $module::$name(&backend).await }),
            },)+)+
        ];
    };
}

cases! {
    assistants: a_new_assistant_is_version_one, a_taken_id_is_refused_or_returned, each_patch_makes_a_version, an_older_version_comes_back_whole,
        syncing_changes_name_and_description_alone, search_filters_sorts_and_pages, a_search_shows_the_wanted_graphs_alone,
        deleting_takes_versions_and_named_threads, deleting_ends_the_runs_in_flight;
    threads: a_new_thread_is_idle_and_bare, a_taken_id_is_refused_or_returned, a_patch_merges_metadata, a_deleted_thread_leaves_nothing_behind,
        a_copy_is_whole_and_independent, any_text_comes_back_unchanged;
    thread_search: containment_finds_metadata_and_values, search_sorts_and_pages, search_narrows_by_ids_and_status,
        keys_and_values_are_data, scalars_match_by_value_and_kind, large_conditions_are_answered;
    retention: a_thread_expires_when_nothing_happens, what_happens_puts_the_expiry_off, runs_and_copies_give_threads_a_ttl,
        a_sweep_is_bounded_and_comes_back, pruning_skips_what_it_may_not_touch, the_latest_checkpoint_is_kept_whole, what_the_latest_needs_is_kept,
        what_a_thread_takes_is_told;
    latest_state: a_state_is_kept_until_a_newer_checkpoint, new_writes_make_a_state_stale, a_state_is_not_set_while_a_run_is_in_flight;
    scopes: another_tenant_sees_nothing, a_filter_hides_rows, foreign_ids_are_taken, tenants_share_assistant_ids, deleting_with_threads_heeds_their_scope,
        store_items_belong_to_a_tenant;
    runs: a_run_keeps_its_origin, runs_list_newest_first, runs_of_several_threads, runs_of_an_assistant, metadata_of_a_run_are_merged,
        deleting_a_run_settles_its_thread;
    checkpoints: a_checkpoint_comes_back_whole, the_latest_is_what_was_accepted_last, putting_again_replaces, writes_keep_the_first_unless_special, lists_are_newest_first_and_filtered,
        blobs_are_shared_by_version, a_missing_thread_is_refused, deleting_checkpoints_leaves_the_thread;
    store_items: an_item_comes_back_and_keeps_its_birth, search_finds_the_nearest_first, items_expire, a_sweep_removes_what_has_expired,
        search_matches_whole_labels_and_filters,
        search_pages_most_recent_first, namespaces_match_wildcards_and_depth;
    queue_order: runs_are_dated_as_they_are_accepted, runs_of_a_thread_start_in_order_and_alone, a_delayed_run_holds_nobody_up, a_delayed_run_waits_for_the_running_one,
        a_clock_that_goes_back_strands_no_run, a_run_handed_back_keeps_its_place, a_delayed_run_does_not_overtake_by_a_clock_that_goes_back, a_ready_run_stays_ready,
        a_claim_puts_in_line_what_is_due, what_is_due_hides_nothing, each_change_of_a_thread_makes_its_next_run_ready, concurrent_claims_never_share_a_run, a_long_queue_on_one_thread_lets_others_through,
        enqueue_merges_into_the_thread, enqueue_refuses_what_it_must;
    queue_strategies: reject_refuses_while_a_run_is_in_flight, what_a_run_ends_does_not_date_it, interrupt_ends_the_pending_and_asks_the_running, rollback_removes_the_pending,
        cancelling_a_pending_run_ends_it, cancelling_a_running_run_asks_its_worker, what_has_ended_cannot_be_cancelled,
        runs_in_flight_are_cancelled_together;
    queue_leases: a_heartbeat_keeps_a_lease, an_expired_lease_is_claimed_anew, an_old_lease_can_do_nothing, a_released_run_comes_back, an_old_attempt_keeps_no_checkpoints, a_deleted_run_has_no_lease, a_lost_lease_changes_no_item, a_clock_that_is_set_changes_no_lease, losses_are_kept_for_the_next_attempt;
    queue_ends: an_end_shows_on_the_thread, others_in_flight_keep_a_thread_busy, a_temporary_run_leaves_nothing, a_rollback_removes_what_the_run_made,
        only_terminal_statuses_end_a_run, an_end_wakes_the_next;
    queue_turns: a_long_queue_of_one_tenant_lets_others_through, tenants_take_turns, the_oldest_comes_first_among_equals, a_claim_gets_what_it_asks_for,
        a_deployment_never_runs_more_than_it_may, a_deployment_can_be_stopped, the_limit_holds_under_concurrent_claims,
        runs_in_flight_are_limited, runs_in_flight_are_limited_under_concurrency;
    queue_stats: an_empty_queue_has_no_waits, waits_are_counted_from_when_a_run_is_due, a_blocked_run_counts_as_waiting_only,
        every_tenant_counts;
    crons: a_new_cron_knows_its_next_moment, a_bad_cron_is_refused, a_patch_merges_documents, a_patch_moves_the_next_moment,
        search_filters_sorts_and_pages, crons_are_hidden, crons_go_with_what_they_hang_on;
    cron_firings: crons_are_due_when_their_moment_has_come, firing_moves_a_cron_on, a_moment_is_fired_once, a_refused_firing_leaves_the_cron,
        a_cron_that_changed_does_not_fire, changes_wake_the_scheduler;
    deployments: a_deployment_comes_back_whole, hosts_and_rates_are_checked;
    api_keys: a_key_is_found_by_its_hash, a_bad_key_is_refused, keys_are_listed_and_revoked_within_a_scope, use_of_a_key_is_noted;
    outbox: an_end_is_told_with_all_there_is_to_tell, each_way_to_end_is_told, a_temporary_run_is_told_without_values, what_was_deleted_is_not_told,
        a_delivery_is_claimed_by_one, an_expired_claim_is_made_anew, an_old_claim_can_do_nothing, what_is_put_off_waits, what_was_given_up_is_kept_until_swept,
        a_delivery_wakes;
    event_log: ids_rise_whatever_the_clock_does, a_reader_replays_and_goes_on, now_means_the_next_event, a_log_that_is_not_resumable_keeps_nothing,
        an_end_ends_every_reader, a_later_attempt_silences_the_earlier, concurrent_readers_miss_and_repeat_nothing, a_slow_reader_is_told, ended_logs_are_kept_for_a_while;
    thread_log: a_thread_is_all_its_runs, a_thread_replays_and_goes_on, ids_rise_from_run_to_run,
        concurrent_readers_of_a_thread_miss_and_repeat_nothing, a_slow_reader_of_a_thread_is_told, a_removed_thread_ends_its_readers,
        a_thread_is_kept_for_a_while;
}

/// Runs every test, each on a new backend from `new`.
///
/// # Panics
/// Panics at the first broken promise. The last line on standard error names the test.
pub async fn run_all(new: impl AsyncFn() -> Backend) {
    for case in CASES {
        eprintln!("conformance: {}", case.name);
        (case.run)(new().await).await;
    }
}
