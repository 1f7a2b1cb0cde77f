//! The conformance suite: the promises of the traits, as tests for any backend.
//!
//! Each test is a free async function. It receives a new, empty backend, the [`Fixture`], and panics with a message if
//! the backend breaks a promise. [`run`] tests one trait alone:
//!
//! ```no_run
//! # use langopen_backends::memory::Memory;
//! # use langopen_core::clock::{ManualClock, Timestamp};
//! # use langopen_testkit::conformance::{Capabilities, Fixture, Need, run};
//! # use std::sync::Arc;
//! # async fn example() {
//! let new = async || {
//!     let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
//!     let memory = Arc::new(Memory::with_clock(clock.clone()));
//!     // Checkpoints belong to threads, so their tests need both traits.
//!     Fixture::new(clock).with_threads(memory.clone()).with_checkpoints(memory)
//! };
//! let report = run(Need::Checkpoints, new, &Capabilities::default()).await;
//! println!("{} tests passed; {} need further traits", report.passed.len(), report.left_out.len());
//! # }
//! ```
//!
//! [`run_all`] runs all tests, and requires all traits. A backend differs from others only by its [`Capabilities`].

pub mod api_keys;
pub mod assistants;
pub mod checkpoints;
pub mod cron_firings;
pub mod crons;
pub mod deployments;
pub mod event_log;
mod events;
mod fixture;
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

use futures::FutureExt;
use futures::future::BoxFuture;

pub use fixture::{Capabilities, Fixture, Need};

/// A test of the suite.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case {
    /// Its module and name.
    pub name: &'static str,
    /// The traits that it calls, and the capabilities that it needs.
    pub needs: &'static [Need],
    /// Runs the test; it panics if the backend breaks a promise.
    pub run: fn(Fixture) -> BoxFuture<'static, ()>,
}

macro_rules! needs {
    ([$($need:ident),+]) => {
        &[$(Need::$need),+]
    };
}

macro_rules! cases {
    ($($module:ident $needs:tt: $($name:ident),+;)+) => {
        /// Every test of the suite.
        pub const CASES: &[Case] = &[
            $($(Case {
                name: concat!(stringify!($module), "::", stringify!($name)),
                needs: needs!($needs),
                run: |backend| Box::pin(async move { $module::$name(&backend).await }),
            },)+)+
        ];
    };
}

cases! {
    assistants [Assistants]: a_new_assistant_is_version_one, a_taken_id_is_refused_or_returned,
        each_patch_makes_a_version, an_older_version_comes_back_whole, syncing_changes_name_and_description_alone,
        search_filters_sorts_and_pages, a_search_shows_the_wanted_graphs_alone;
    assistants [Assistants, Threads]: deleting_takes_versions_and_named_threads;
    assistants [Assistants, Threads, Runs, Queue]: deleting_ends_the_runs_in_flight;
    threads [Threads]: a_new_thread_is_idle_and_bare, a_taken_id_is_refused_or_returned, a_patch_merges_metadata,
        any_text_comes_back_unchanged;
    threads [Threads, Runs, Checkpoints, Queue]: a_deleted_thread_leaves_nothing_behind,
        a_copy_is_whole_and_independent;
    thread_search [Threads]: containment_finds_metadata_and_values, search_sorts_and_pages, keys_and_values_are_data,
        scalars_match_by_value_and_kind, large_conditions_are_answered;
    thread_search [Threads, Queue]: search_narrows_by_ids_and_status;
    retention [Threads, Checkpoints]: a_thread_expires_when_nothing_happens, a_sweep_is_bounded_and_comes_back,
        the_latest_checkpoint_is_kept_whole, what_the_latest_needs_is_kept, what_a_thread_takes_is_told;
    retention [Threads, Queue]: what_happens_puts_the_expiry_off, runs_and_copies_give_threads_a_ttl,
        pruning_skips_what_it_may_not_touch;
    latest_state [Threads, Checkpoints]: a_state_is_kept_until_a_newer_checkpoint;
    latest_state [Threads, Queue]: a_state_is_not_set_while_a_run_is_in_flight;
    latest_state [Threads, Checkpoints, Queue]: new_writes_make_a_state_stale;
    scopes [StoreItems]: store_items_belong_to_a_tenant;
    scopes [Threads, Queue]: foreign_ids_are_taken;
    scopes [Assistants, Runs, Queue]: tenants_share_assistant_ids;
    scopes [Assistants, Threads, Checkpoints, Queue]: deleting_with_threads_heeds_their_scope;
    scopes [Assistants, Threads, Runs, Checkpoints, Queue]: another_tenant_sees_nothing, a_filter_hides_rows;
    runs [Threads, Runs, Queue]: a_run_keeps_its_origin, runs_list_newest_first, runs_of_several_threads,
        runs_of_an_assistant, metadata_of_a_run_are_merged, deleting_a_run_settles_its_thread;
    checkpoints [Checkpoints]: a_missing_thread_is_refused;
    checkpoints [Threads, Checkpoints]: a_checkpoint_comes_back_whole, the_latest_is_what_was_accepted_last,
        putting_again_replaces, writes_keep_the_first_unless_special, lists_are_newest_first_and_filtered,
        blobs_are_shared_by_version, deleting_checkpoints_leaves_the_thread;
    store_items [StoreItems]: an_item_comes_back_and_keeps_its_birth, items_expire, a_sweep_removes_what_has_expired,
        search_matches_whole_labels_and_filters, search_pages_most_recent_first, namespaces_match_wildcards_and_depth;
    store_items [StoreItems, Similarity]: search_finds_the_nearest_first;
    queue_order [Queue]: what_is_due_hides_nothing, concurrent_claims_never_share_a_run,
        a_long_queue_on_one_thread_lets_others_through;
    queue_order [Threads, Queue]: runs_are_dated_as_they_are_accepted, a_delayed_run_waits_for_the_running_one,
        a_clock_that_goes_back_strands_no_run, a_run_handed_back_keeps_its_place,
        a_delayed_run_does_not_overtake_by_a_clock_that_goes_back, a_ready_run_stays_ready,
        a_claim_puts_in_line_what_is_due;
    queue_order [Runs, Queue]: runs_of_a_thread_start_in_order_and_alone;
    queue_order [Threads, Runs, Queue]: a_delayed_run_holds_nobody_up, each_change_of_a_thread_makes_its_next_run_ready,
        enqueue_refuses_what_it_must;
    queue_order [Threads, Runs, Checkpoints, Queue]: enqueue_merges_into_the_thread;
    queue_strategies [Threads, Queue]: reject_refuses_while_a_run_is_in_flight, what_a_run_ends_does_not_date_it;
    queue_strategies [Threads, Runs, Queue]: interrupt_ends_the_pending_and_asks_the_running,
        cancelling_a_running_run_asks_its_worker, what_has_ended_cannot_be_cancelled,
        runs_in_flight_are_cancelled_together;
    queue_strategies [Threads, Runs, Checkpoints, Queue]: rollback_removes_the_pending,
        cancelling_a_pending_run_ends_it, a_released_run_keeps_its_rollback;
    queue_leases [Queue]: a_heartbeat_keeps_a_lease, a_clock_that_is_set_changes_no_lease,
        losses_are_kept_for_the_next_attempt;
    queue_leases [Runs, Queue]: an_expired_lease_is_claimed_anew, a_released_run_comes_back, a_deleted_run_has_no_lease;
    queue_leases [Threads, Runs, Queue]: an_old_lease_can_do_nothing;
    queue_leases [Threads, Checkpoints, Queue]: an_old_attempt_keeps_no_checkpoints;
    queue_leases [Threads, StoreItems, Queue]: a_lost_lease_changes_no_item;
    queue_ends [Queue, Hints]: an_end_wakes_the_next;
    queue_ends [Threads, Queue]: others_in_flight_keep_a_thread_busy;
    queue_ends [Runs, Queue]: only_terminal_statuses_end_a_run;
    queue_ends [Threads, Runs, Checkpoints, Queue]: an_end_shows_on_the_thread, a_temporary_run_leaves_nothing,
        a_rollback_removes_what_the_run_made;
    queue_turns [Queue]: a_long_queue_of_one_tenant_lets_others_through, tenants_take_turns,
        the_oldest_comes_first_among_equals, a_claim_gets_what_it_asks_for;
    queue_turns [Deployments, Queue]: a_deployment_never_runs_more_than_it_may, a_deployment_can_be_stopped,
        the_limit_holds_under_concurrent_claims, runs_in_flight_are_limited_under_concurrency;
    queue_turns [Threads, Runs, Deployments, Queue]: runs_in_flight_are_limited;
    queue_stats [Queue]: an_empty_queue_has_no_waits, waits_are_counted_from_when_a_run_is_due,
        a_blocked_run_counts_as_waiting_only, every_tenant_counts;
    crons [Assistants, Crons]: a_bad_cron_is_refused, a_patch_moves_the_next_moment, crons_are_hidden;
    crons [Assistants, Threads, Crons]: a_new_cron_knows_its_next_moment, a_patch_merges_documents,
        search_filters_sorts_and_pages, crons_go_with_what_they_hang_on;
    cron_firings [Assistants, Crons, Hints]: changes_wake_the_scheduler;
    cron_firings [Assistants, Crons, Queue]: crons_are_due_when_their_moment_has_come, a_moment_is_fired_once;
    cron_firings [Assistants, Threads, Crons, Queue]: a_refused_firing_leaves_the_cron,
        a_cron_that_changed_does_not_fire;
    cron_firings [Assistants, Threads, Runs, Crons, Queue]: firing_moves_a_cron_on;
    deployments [Deployments]: a_deployment_comes_back_whole, hosts_and_rates_are_checked;
    api_keys [ApiKeys]: a_key_is_found_by_its_hash, a_bad_key_is_refused, keys_are_listed_and_revoked_within_a_scope,
        use_of_a_key_is_noted;
    outbox [Queue, Outbox]: an_end_is_told_with_all_there_is_to_tell, each_way_to_end_is_told,
        a_delivery_is_claimed_by_one, an_expired_claim_is_made_anew, an_old_claim_can_do_nothing, what_is_put_off_waits,
        what_was_given_up_is_kept_until_swept;
    outbox [Queue, Outbox, Hints]: a_delivery_wakes;
    outbox [Threads, Queue, Outbox]: a_temporary_run_is_told_without_values;
    outbox [Threads, Runs, Queue, Outbox]: what_was_deleted_is_not_told;
    event_log [EventLog]: ids_rise_whatever_the_clock_does, a_reader_replays_and_goes_on, now_means_the_next_event,
        a_log_that_is_not_resumable_keeps_nothing, an_end_ends_every_reader, a_later_attempt_silences_the_earlier,
        concurrent_readers_miss_and_repeat_nothing, a_slow_reader_is_told;
    event_log [EventLog, Retention]: ended_logs_are_kept_for_a_while;
    thread_log [EventLog]: a_thread_is_all_its_runs, a_thread_replays_and_goes_on, ids_rise_from_run_to_run,
        concurrent_readers_of_a_thread_miss_and_repeat_nothing, a_slow_reader_of_a_thread_is_told,
        a_removed_thread_ends_its_readers;
    thread_log [EventLog, Retention]: a_thread_is_kept_for_a_while;
}

/// The tests that ran, and those that did not.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// The names of the tests that passed.
    pub passed: Vec<&'static str>,
    /// The names of the tests that the backend lacks something for, with what it lacks.
    pub left_out: Vec<(&'static str, Vec<Need>)>,
}

/// Tests one trait: runs each test that calls the trait and whose other needs the backend meets. Each test gets a new
/// backend from `new`.
///
/// # Panics
/// Panics if the backend does not have `subject`, and at the end if it broke a promise. The message names the failed
/// tests; standard error has their own messages.
pub async fn run(subject: Need, new: impl AsyncFn() -> Fixture, capabilities: &Capabilities) -> Report {
    let lacks = new().await.with_capabilities(capabilities).lacks(&[subject]);
    assert!(lacks.is_empty(), "the fixture does not have {subject:?}");
    run_those(|case| case.needs.contains(&subject), new, capabilities).await
}

/// Runs every test, each on a new backend from `new`.
///
/// # Panics
/// Panics at the end if the backend broke a promise or lacks a trait. The message names the failed tests; standard
/// error has their own messages.
pub async fn run_all(new: impl AsyncFn() -> Fixture, capabilities: &Capabilities) -> Report {
    let report = run_those(|_| true, new, capabilities).await;
    let is_trait = |need: &Need| !matches!(need, Need::Similarity | Need::Retention | Need::Hints);
    let lacks: Vec<_> = report.left_out.iter().filter(|(_, lacks)| lacks.iter().any(is_trait)).collect();
    assert!(lacks.is_empty(), "the fixture does not have every trait: {lacks:?}");
    report
}

/// Runs the chosen tests whose needs the backend meets.
///
/// # Panics
/// Panics at the end if the backend broke a promise.
pub async fn run_those(
    chosen: impl Fn(&Case) -> bool,
    new: impl AsyncFn() -> Fixture,
    capabilities: &Capabilities,
) -> Report {
    let (mut report, mut failed) = (Report::default(), Vec::new());
    for case in CASES.iter().filter(|case| chosen(case)) {
        let fixture = new().await.with_capabilities(capabilities);
        let lacks = fixture.lacks(case.needs);
        if !lacks.is_empty() {
            report.left_out.push((case.name, lacks));
            continue;
        }
        eprintln!("conformance: {}", case.name);
        match std::panic::AssertUnwindSafe((case.run)(fixture)).catch_unwind().await {
            Ok(()) => report.passed.push(case.name),
            Err(_) => failed.push(case.name),
        }
    }
    assert!(failed.is_empty(), "broken promises: {failed:#?}");
    report
}
