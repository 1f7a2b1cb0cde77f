//! `langopen-bench compare`: measures LangOpen, the peer and the bare library one after another on the same machine,
//! and compares the figures with the bars.

mod bars;
mod measure;
mod plan;
mod programs;
mod report;
mod table;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;

use self::measure::Figures;
use self::plan::Plan;
use self::programs::Programs;
use self::report::Report;
use crate::app;
use crate::bare::{self, Bare};
use crate::cli::CompareOptions;
use crate::error::{Error, Result};
use crate::server::Server;

/// Measures, prints the tables and the JSON report, and fails if a bar is missed.
pub(crate) async fn command(options: CompareOptions) -> Result<ExitCode> {
    let programs = Programs::find(&options)?;
    let plan = if options.quick { Plan::quick() } else { Plan::full() };
    let root = tempfile::Builder::new()
        .prefix("langopen-bench-")
        .tempdir()
        .map_err(|source| Error::Io { what: "no temporary folder".into(), source })?;
    let load_average = std::fs::read_to_string("/proc/loadavg").ok().map(|text| text.trim().to_owned());
    let mut notes = Vec::new();

    let ours = measure_ours(&options, &programs, &plan, &root.path().join("langopen")).await?;
    let peer = noted("peer", &mut notes, measure_peer(&programs, &plan, &root.path().join("peer")).await);
    let bare = noted("bare library", &mut notes, measure_bare(&programs, &plan, &root.path().join("bare")).await);

    let report = Report::new(options.quick, load_average, notes, ours, peer, bare);
    println!("{}", table::render(&report));
    let failed = |error: serde_json::Error| Error::Option(error.to_string());
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report).map_err(failed)?;
        std::fs::write(file, text)
            .map_err(|source| Error::Io { what: format!("cannot write {}", file.display()), source })?;
    }
    println!("{}", serde_json::to_string(&report).map_err(failed)?);
    Ok(if report.missed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure_ours(options: &CompareOptions, programs: &Programs, plan: &Plan, folder: &Path) -> Result<Figures> {
    app::unpack(app::PYTHON, folder)?;
    let server = match (&options.url, &programs.langopen) {
        (Some(url), _) => Server::running(url, options.pid).await?,
        (None, Some(program)) => Server::langopen(program, folder).await?,
        (None, None) => return Err(Error::Option("no langopen binary: build it, or name it with --langopen".into())),
    };
    let figures = measure::server(&server, plan, true).await;
    server.stop().await;
    Ok(figures)
}

async fn measure_peer(programs: &Programs, plan: &Plan, folder: &Path) -> Result<Figures> {
    let program = programs.peer.as_deref().map_err(|why| Error::Option(why.clone()))?;
    app::unpack(app::PYTHON, folder)?;
    let server = Server::peer(program, folder).await?;
    let figures = measure::server(&server, plan, false).await;
    server.stop().await;
    Ok(figures)
}

async fn measure_bare(programs: &Programs, plan: &Plan, folder: &Path) -> Result<Bare> {
    app::unpack(app::PYTHON, folder)?;
    eprintln!("bare library: {}", programs.python.display());
    bare::measure(&programs.python, folder, plan.bare).await
}

/// A failed part leaves a note; the rest of the comparison still counts.
fn noted<T>(name: &str, notes: &mut Vec<String>, result: Result<T>) -> Option<T> {
    result
        .inspect_err(|error| {
            eprintln!("{name}: not measured: {error}");
            notes.push(format!("{name} not measured: {error}"));
        })
        .ok()
}
