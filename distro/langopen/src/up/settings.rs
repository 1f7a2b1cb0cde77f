//! Turns the command line and `langgraph.json` into the settings of each part.

use std::time::Duration;

use langopen_runner::config::AppSettings;
use langopen_runner::environment::Options;
use langopen_worker::WorkerSettings;

use super::data::DataFolder;
use crate::app;
use crate::cli::UpOptions;
use crate::error::CommandError;
use crate::hosts::HostOptions;
use crate::isolation::Isolation;
use crate::names::process_name;

pub(super) fn environment(options: &UpOptions, data: &DataFolder) -> Options {
    let cache_dir = options.cache_dir.clone().unwrap_or_else(|| data.environments());
    let mut settings = Options::new(cache_dir);
    settings.python.clone_from(&options.python);
    settings
}

pub(super) fn hosts(options: &UpOptions, data: &DataFolder, isolation: Isolation, api_url: &str) -> HostOptions {
    HostOptions {
        hosts: options.hosts,
        environment: environment(options, data),
        isolation,
        program_dir: data.program(),
        api_url: api_url.to_owned(),
    }
}

pub(super) fn worker(options: &UpOptions, app: &AppSettings) -> Result<WorkerSettings, CommandError> {
    let mut settings = WorkerSettings::default()
        .with_name(process_name("up"))
        .with_concurrency(usize::from(options.workers) * usize::from(options.jobs_per_worker))
        .with_max_attempts(options.job_max_retries + 1)
        .with_run_timeout(Duration::from_secs(options.job_timeout_secs))
        .with_grace(Duration::from_secs(options.shutdown_grace_secs))
        .with_crons(options.crons);
    app::sweeps(&mut settings, app)?;
    Ok(settings)
}
