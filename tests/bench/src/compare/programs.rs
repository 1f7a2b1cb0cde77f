//! Finds the programs.

use std::path::PathBuf;

use crate::cli::CompareOptions;
use crate::error::Result;
use crate::program;

/// The programs that a comparison starts.
#[derive(Debug)]
pub(crate) struct Programs {
    /// `None` if a running server is measured instead.
    pub(super) langopen: Option<PathBuf>,
    /// The reason, if there is no peer.
    pub(super) peer: Result<PathBuf, String>,
    pub(super) python: PathBuf,
}

impl Programs {
    /// Searches the programs that the options do not name.
    pub(super) fn find(options: &CompareOptions) -> Result<Self> {
        let peer = match options.no_peer {
            true => Err("left out by --no-peer".to_owned()),
            false => which::which(&options.peer).map_err(|error| {
                format!("{}: {error} (install langgraph-cli[inmem], or name it with --peer)", options.peer.display())
            }),
        };
        let beside_peer = || peer.as_ref().ok().map(|peer| peer.with_file_name("python")).filter(|path| path.is_file());
        let python = options.python.clone().or_else(beside_peer).unwrap_or_else(|| "python3".into());
        let langopen = match (&options.url, &options.langopen) {
            (Some(_), _) => None,
            (None, named) => Some(program::langopen(named.as_deref())?),
        };
        Ok(Self { langopen, peer, python })
    }
}
