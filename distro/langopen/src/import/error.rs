//! Why an import stops or stays incomplete.

use super::layout::Missing;

/// Why an import stops or stays incomplete. No message shows the address of the source, because it may contain a
/// password.
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
    #[error("{0} parts of the source could not be imported; all others were")]
    Incomplete(u64),
}

impl ImportError {
    /// What to do, unless the message already says it.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoTables => Some("name the schema that contains them: postgres://…?options[search_path]=SCHEMA"),
            Self::Layout(_) => Some("first update its tables with the setup() of langgraph-checkpoint-postgres"),
            Self::OtherIds { .. } => Some(
                "use --other-thread-ids map to give each a UUID (metadata.imported_thread_id then holds its id), or skip to leave them out",
            ),
            Self::Source(_) | Self::Target(_) => Some("run the command again: it continues where it stopped"),
            Self::Incomplete(_) => Some("the lines above name them; repair them and run the command again"),
            Self::Address(_) => None,
        }
    }
}
