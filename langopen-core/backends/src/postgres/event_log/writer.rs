//! Appending: proposals that come at the same time share one statement and one commit.

use std::collections::HashSet;
use std::sync::Arc;

use langopen_core::error::{Error, Result};
use langopen_core::ids::RunId;
use langopen_core::signals::{Signal, Signals};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::super::Postgres;
use super::super::columns::{Context, get};
use super::group::{Call, Calls, answer};
use super::rows::{position_or_none, signed};
use crate::live_copies::LiveCopies;
use crate::shared_log::{Answer, Proposal, ThreadState, encode_copy};

const OPERATION: &str = "event_log.append";

/// A proposal, and whether this process reads the thread.
#[derive(Debug, Clone)]
pub(super) struct Appending {
    pub(super) proposal: Proposal,
    pub(super) read: bool,
}

/// Writes for some of the threads.
pub(super) struct Writer {
    pub(super) db: Postgres,
    pub(super) process: Uuid,
    pub(super) live: Option<Arc<dyn LiveCopies>>,
    pub(super) signals: Option<Arc<dyn Signals>>,
}

type AppendCall = Call<Appending, Answer>;

/// Takes the first call of each thread; the others stay.
fn take_distinct(calls: &mut Vec<AppendCall>) -> Vec<AppendCall> {
    let mut threads = HashSet::new();
    let (first, others) = calls.drain(..).partition(|(appending, _)| threads.insert(appending.proposal.thread_id));
    *calls = others;
    first
}

impl Writer {
    /// Writes until there will be no more calls.
    pub(super) async fn run(self, mut calls: Calls<Appending, Answer>) {
        while let Some(mut waiting) = calls.next().await {
            // A caller that went away wants no record.
            waiting.retain(|(_, asker)| !asker.is_closed());
            while !waiting.is_empty() {
                let (appending, askers): (Vec<_>, Vec<_>) = take_distinct(&mut waiting).into_iter().unzip();
                answer(askers, self.append(&appending).await);
            }
            // The callers that were just answered may append again, and then share the next commit.
            tokio::task::yield_now().await;
        }
    }

    async fn append(&self, appending: &[Appending]) -> Result<Vec<Answer>> {
        let rows = self.db.retrying(|| self.db.append_records(self.process, appending)).await?;
        let mut answers: Vec<Option<Answer>> = vec![None; appending.len()];
        for row in &rows {
            let index = usize::try_from(get::<i64>(row, "n")? - 1).unwrap_or(usize::MAX);
            let (Some(place), Some(of)) = (answers.get_mut(index), appending.get(index)) else { continue };
            let answer = decode(row)?;
            if answer == Answer::Taken && get(row, "heard")? {
                self.hint(&of.proposal);
            }
            *place = Some(answer);
        }
        let missing = || Error::internal(OPERATION, "the database gave no answer for one of the threads");
        answers.into_iter().map(|answer| answer.ok_or_else(missing)).collect()
    }

    /// Sends the record to the processes that read the thread, or tells them to fetch it.
    fn hint(&self, proposal: &Proposal) {
        let is_sent = self.live.as_ref().is_some_and(|live| live.send(proposal.thread_id, encode_copy(proposal)));
        if !is_sent && let Some(signals) = &self.signals {
            signals.send(Signal::Events(proposal.thread_id));
        }
    }
}

fn attempt(row: &PgRow, column: &str) -> Result<u32> {
    Ok(u32::try_from(get::<Option<i64>>(row, column)?.unwrap_or(0)).unwrap_or(u32::MAX))
}

fn decode(row: &PgRow) -> Result<Answer> {
    match get::<&str>(row, "outcome")? {
        "taken" => Ok(Answer::Taken),
        "unwanted" => Ok(Answer::Unwanted),
        _ => Ok(Answer::Refused(ThreadState {
            last: position_or_none(row, "millis", "sequence")?.unwrap_or_default(),
            speaker: match get::<Option<Uuid>>(row, "speaker")? {
                Some(run_id) => Some((RunId(run_id), attempt(row, "speaker_attempt")?)),
                None => None,
            },
            attempt: attempt(row, "run_attempt")?,
            kept: get(row, "kept")?,
            ended: get(row, "ended")?,
            done: get(row, "done")?,
        })),
    }
}

impl Postgres {
    /// Proposes one record for each of several threads, in one statement.
    async fn append_records(&self, process: Uuid, appending: &[Appending]) -> Result<Vec<PgRow>> {
        let all = || appending.iter().map(|appending| &appending.proposal);
        let column = |of: fn(&Proposal) -> u64| all().map(|proposal| signed(of(proposal))).collect::<Vec<_>>();
        let sql = sqlx::query(
            "SELECT * FROM event_log_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        );
        let sql = sql.bind(process).bind(self.now().as_micros());
        let sql = sql.bind(all().map(|proposal| proposal.thread_id.0).collect::<Vec<_>>());
        let sql = sql.bind(all().map(|proposal| char::from(proposal.kind.code()).to_string()).collect::<Vec<_>>());
        let sql = sql.bind(all().map(|proposal| proposal.kind.run_id().map(|id| id.0)).collect::<Vec<_>>());
        let sql = sql.bind(column(|proposal| proposal.attempt.into()));
        let sql = sql.bind(all().map(|proposal| proposal.keep).collect::<Vec<_>>());
        let sql = sql.bind(all().map(|proposal| proposal.begins).collect::<Vec<_>>());
        let sql = sql.bind(appending.iter().map(|appending| appending.read).collect::<Vec<_>>());
        let sql = sql.bind(all().map(|proposal| proposal.mark).collect::<Vec<_>>());
        let sql = sql.bind(column(|proposal| proposal.expected.millis));
        let sql = sql.bind(column(|proposal| proposal.expected.sequence));
        let sql = sql.bind(column(|proposal| proposal.before.millis));
        let sql = sql.bind(column(|proposal| proposal.before.sequence));
        let sql = sql.bind(column(|proposal| proposal.last.millis));
        let sql = sql.bind(column(|proposal| proposal.last.sequence));
        let sql = sql.bind(all().map(|proposal| &proposal.bytes[..]).collect::<Vec<_>>());
        let mut session = self.session(OPERATION).await?;
        let rows = sql.fetch_all(&mut *session).await.context(OPERATION)?;
        session.done(OPERATION).await?;
        Ok(rows)
    }
}
