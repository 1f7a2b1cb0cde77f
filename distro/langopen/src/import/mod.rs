//! `langopen import`: imports what langgraph's `PostgresSaver` and `PostgresStore` have stored.
//!
//! The import reads one snapshot of the source and never writes to the source. It writes the oldest checkpoints first,
//! and each checkpoint in one step, after its writes. A second run therefore skips what the first one imported, and
//! continues where it stopped.

mod checkpoint;
mod error;
mod items;
mod layout;
mod report;
mod source;
mod target;
mod threads;

use futures::{StreamExt, TryStreamExt, stream};
use langopen_core::{Scope, Storage, Tenant};

use crate::announce::say;
use crate::cli::{ImportOptions, OtherThreadIds};
use crate::error::CommandError;
use report::{Report, warn_of_kinds};
use source::{Source, Totals};
use target::Target;
use threads::Threads;

pub(crate) use error::ImportError;

/// Imports the source, or only counts its contents with `--dry-run`.
pub(crate) async fn import(options: ImportOptions) -> Result<(), CommandError> {
    let tenant = options.tenant.as_deref().map(Tenant::parse).transpose()?.unwrap_or_default();
    let mut source = Source::open(&options.from, usize::from(options.jobs)).await?;
    let totals = source.totals().await.map_err(ImportError::from)?;
    say_totals(&totals);
    if options.dry_run {
        warn_of_kinds(totals.unreadable.iter().map(|(kind, count)| (kind.as_str(), *count)));
        say("dry run", "nothing was written");
        return Ok(());
    }
    let (count, examples) = (totals.other_ids.0, totals.other_ids.1.clone());
    if count > 0 && options.other_thread_ids == OtherThreadIds::Refuse {
        return Err(ImportError::OtherIds { count, examples }.into());
    }
    let target = Target::open(&options).await?;
    let report = Report::default();
    let storage = target.storage();
    let taken = take(&mut source, &*storage, Scope::tenant(tenant), &options, &report, &totals).await;
    target.close().await;
    report.conclude(&totals);
    taken?;
    match report.failures() {
        0 => Ok(()),
        failures => Err(ImportError::Incomplete(failures).into()),
    }
}

async fn take(
    source: &mut Source,
    storage: &dyn Storage,
    scope: Scope,
    options: &ImportOptions,
    report: &Report,
    totals: &Totals,
) -> Result<(), ImportError> {
    if source.layout().threads {
        source.open_threads().await?;
        let threads = Threads { storage, scope: scope.clone(), options, report };
        loop {
            let ids = source.next_threads().await?;
            if ids.is_empty() {
                break;
            }
            let (source, threads) = (&*source, &threads);
            let each = |id: String| async move {
                let mut reader = source.reader().ok_or(sqlx::Error::PoolClosed)?;
                threads.take(&mut reader, &id).await?;
                report.progress(totals);
                Ok::<_, ImportError>(())
            };
            stream::iter(ids).map(each).buffer_unordered(usize::from(options.jobs)).try_collect::<()>().await?;
        }
    }
    if source.layout().items {
        items::take_items(source, (storage, &scope), report, totals).await?;
    }
    Ok(())
}

fn say_totals(totals: &Totals) {
    let Totals { threads, checkpoints, writes, items, vectors, .. } = totals;
    say("source", &format!("{threads} threads with {checkpoints} checkpoints and {writes} writes"));
    say("source", &format!("{items} store items with {vectors} vectors"));
    let (count, examples) = &totals.other_ids;
    if *count > 0 {
        say("source", &format!("{count} threads have ids that are not UUIDs, e.g. {}", examples.join(", ")));
    }
}
