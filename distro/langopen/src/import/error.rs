//! Why an import stopped, or is not whole.

use super::layout::Missing;

/// Why an import stopped, or is not whole. Nothing here shows the address that the data comes from: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("the address of the source is not a Postgres URL: {0}")]
    Address(sqlx::Error),
    #[error("cannot read the source: {0}")]
    Source(#[from] sqlx::Error),
    #[error("the source has no tables of langgraph's PostgresSaver or PostgresStore")]
    NoTables,
    #[error("the source's table {} has no column {}", .0.table, .0.column)]
    Layout(Missing),
    #[error("{count} threads of the source have ids that are not UUIDs, e.g. {}", examples.join(", "))]
    OtherIds { count: u64, examples: Vec<String> },
    #[error("cannot write: {0}")]
    Target(#[from] langopen_core::Error),
    #[error("{0} parts of the source could not be taken over; everything else was")]
    Incomplete(u64),
}

impl ImportError {
    /// What to do, where the message does not say it already.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoTables => Some("name the schema that has them: postgres://…?options[search_path]=SCHEMA"),
            Self::Layout(_) => {
                Some("let the setup() of langgraph-checkpoint-postgres bring its tables up to date first")
            }
            Self::OtherIds { .. } => Some(
                "--other-thread-ids map gives each a UUID and keeps its id in the metadata as imported_thread_id; skip leaves them out",
            ),
            Self::Source(_) | Self::Target(_) => Some("run the command again: it goes on where it stopped"),
            Self::Incomplete(_) => Some("the lines above say which; run the command again once they are mended"),
            Self::Address(_) => None,
        }
    }
}
