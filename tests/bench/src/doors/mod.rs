//! `langopen-bench doors`: graphs in TypeScript, and the thread protocol compared with the classic streams.

mod sockets;
mod tokens;
mod typescript;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app;
use crate::cli::DoorsOptions;
use crate::error::{Error, Result};
use crate::program;
use crate::report::Report;
use crate::server::Server;

/// The environment of the measurements.
struct Environment {
    langopen: PathBuf,
    folder: PathBuf,
    quick: bool,
}

impl Environment {
    /// Starts a server of an application in a new folder.
    async fn server(&self, name: &str, files: app::Files) -> Result<Server> {
        let folder = self.folder.join(name);
        app::unpack(files, &folder)?;
        Server::langopen(&self.langopen, &folder).await
    }
}

/// Measures, prints the table and the JSON report, and fails if a bar is missed.
pub(crate) async fn command(options: DoorsOptions) -> Result<ExitCode> {
    let root = tempfile::Builder::new().prefix("langopen-bench-").tempdir();
    let root = root.map_err(|source| Error::Io { what: "no temporary folder".into(), source })?;
    let langopen = program::langopen(options.langopen.as_deref())?;
    let environment = Environment { langopen, folder: root.path().to_owned(), quick: options.quick };
    let mut report = Report::new(options.quick);
    eprintln!("runs of graphs in TypeScript");
    report.add("typescript", typescript::measure(&environment).await);
    eprintln!("tokens on both kinds of stream");
    report.add("tokens", tokens::measure(&environment).await);
    eprintln!("WebSockets on one thread");
    report.add("sockets", sockets::measure(&environment).await);
    report.print(options.json.as_deref())
}
