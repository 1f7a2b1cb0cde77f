//! New runs.

use langopen_backends::rules::{deployment, documents, run, thread};
use langopen_core::model::{MultitaskStrategy, NewRun, ThreadStatus};
use langopen_core::queue::{Enqueued, Losses};
use langopen_core::{Error, ErrorKind, JsonMap, Result, Scope, Timestamp};

use crate::line::{Entry, Stage};
use crate::state::{RunRow, State};
use crate::threads::ThreadRow;

const OPERATION: &str = "queue.enqueue";

impl State {
    /// Refuses a new run that may not be created. It changes nothing, so a refused run leaves no trace.
    pub(crate) fn check_new_run(&self, scope: &Scope, new: &NewRun, now: Timestamp) -> Result<()> {
        let (run_id, thread_id) = (new.run_id, new.thread_id);
        if self.runs.contains_key(&run_id) {
            return Err(Error::new(ErrorKind::AlreadyExists, OPERATION, format!("run {run_id} exists already")));
        }
        let exists = self.threads.contains_key(&thread_id);
        let is_visible = self.thread(scope, thread_id).is_some();
        if !is_visible && !new.thread.create {
            return Err(Error::not_found(OPERATION, format!("there is no thread {thread_id}")));
        }
        if !is_visible && exists {
            return Err(Error::new(ErrorKind::AlreadyExists, OPERATION, format!("thread {thread_id} exists already")));
        }
        if new.multitask_strategy == MultitaskStrategy::Reject && self.is_busy(thread_id) {
            return Err(Error::conflict(OPERATION, format!("a run is in flight on thread {thread_id}")));
        }
        if let Some(firing) = new.firing {
            self.check_firing(OPERATION, scope, firing, now)?;
        }
        self.check_room(scope, new)
    }

    /// Refuses a new run if its deployment has too many runs in flight. Those that it ends do not count.
    fn check_room(&self, scope: &Scope, new: &NewRun) -> Result<()> {
        let Some(limit) = self.limits(&scope.tenant).max_runs_in_flight else { return Ok(()) };
        let supersedes = run::superseded_by(new).is_some();
        let ends =
            |entry: &Entry| supersedes && entry.thread_id == new.thread_id && !matches!(entry.stage, Stage::Running(_));
        let stay = self.line.values().filter(|entry| entry.tenant == scope.tenant && !ends(entry));
        deployment::check_room(OPERATION, stay.count() as u64, limit)
    }

    /// Creates a run that was checked.
    pub(crate) fn add_run(&mut self, scope: &Scope, mut new: NewRun, now: Timestamp) -> Enqueued {
        if let Some(firing) = new.firing {
            self.move_cron_on(firing);
        }
        let ended = self.supersede(&new, now);
        let mut stage = Stage::Delayed;
        if new.available_at <= now {
            stage = Stage::InLine;
            new.available_at = run::behind(self.last_in_line(new.thread_id), now, new.run_id);
        }
        let (thread_id, tenant) = (new.thread_id, scope.tenant.clone());
        let row = self.threads.entry(thread_id).or_insert_with(|| {
            let thread = thread::row(thread_id, JsonMap::new(), JsonMap::new(), new.thread.ttl, now);
            ThreadRow::new(tenant.clone(), thread)
        });
        // The run takes the thread's metadata from before it changes them.
        let run = run::row(&new, &row.thread.metadata, now);
        documents::merge(&mut row.thread.metadata, new.thread.metadata);
        documents::merge_config(&mut row.thread.config, new.thread.config);
        row.thread.status = ThreadStatus::Busy;
        row.thread.updated_at = now;
        let fresh_thread = row.history.is_empty();
        self.runs.insert(run.run_id, RunRow { tenant: tenant.clone(), run: run.clone() });
        let (starts_at, losses) = (new.available_at, Losses::default());
        self.line.insert(run.run_id, Entry { tenant, thread_id, starts_at, stage, cancel: None, losses });
        self.promote(thread_id, now);
        // A worker that sleeps until the next run is due must learn of a delayed run too.
        self.hints.runs.notify_one();
        Enqueued { run, fresh_thread, ended }
    }
}
