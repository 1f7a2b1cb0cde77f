//! From the command line and `langgraph.json` to the settings of each part.

use std::collections::BTreeMap;
use std::time::Duration;

use langopen_api::{AppOptions, HostInfo, Settings};
use langopen_runner::config::MiddlewareOrder;
use langopen_runner::environment::Options;
use langopen_runner::{AppConfig, Environment, PoolGraph, PoolSettings};
use langopen_worker::WorkerSettings;
use serde_json::json;

use super::auth;
use super::data::DataFolder;
use super::http::{self, Variables};
use super::retention;
use crate::cli::UpOptions;
use crate::error::CommandError;

pub(super) fn environment(options: &UpOptions, data: &DataFolder) -> Options {
    let cache_dir = options.cache_dir.clone().unwrap_or_else(|| data.environments());
    let mut settings = Options::new(cache_dir);
    settings.python.clone_from(&options.python);
    settings
}

pub(super) fn pool(
    options: &UpOptions,
    config: &AppConfig,
    environment: Environment,
    env: BTreeMap<String, String>,
    data: &DataFolder,
    api_url: &str,
    mount_prefix: Option<&str>,
) -> PoolSettings {
    let graph = |graph: &langopen_runner::config::Graph| PoolGraph {
        target: graph.target.to_string(),
        description: graph.description.clone(),
    };
    PoolSettings {
        hosts: usize::from(options.hosts),
        python: environment.python,
        program_dir: data.program(),
        base_dir: config.base_dir().to_owned(),
        search_path: environment.search_path,
        env,
        graphs: config.graphs.iter().map(|(id, each)| (id.clone(), graph(each))).collect(),
        auth: config.auth.as_ref().and_then(|auth| auth.path.as_ref()).map(ToString::to_string),
        store_index: config.store.as_ref().and_then(|store| store.index.as_ref()).map(|index| json!(index)),
        store_ttl: config
            .store
            .as_ref()
            .and_then(|store| store.ttl.as_ref())
            .map(|ttl| json!({"default_ttl": ttl.default_ttl, "refresh_on_read": ttl.refresh_on_read.unwrap_or(true)})),
        web_app: config.http.as_ref().and_then(|http| http.app.as_ref()).map(ToString::to_string),
        mount_prefix: mount_prefix.unwrap_or_default().to_owned(),
        api_url: api_url.to_owned(),
        load_timeout: PoolSettings::LOAD_TIMEOUT,
        unresponsive_after: PoolSettings::UNRESPONSIVE_AFTER,
    }
}

pub(super) fn web_app(config: &AppConfig) -> AppOptions {
    let http = config.http.as_ref();
    AppOptions {
        auth_first: http.and_then(|http| http.middleware_order) == Some(MiddlewareOrder::AuthFirst),
        authenticate_routes: http.is_some_and(|http| http.enable_custom_route_auth),
    }
}

pub(super) fn worker(
    options: &UpOptions,
    config: &AppConfig,
    env: &BTreeMap<String, String>,
) -> Result<WorkerSettings, CommandError> {
    let mut settings = WorkerSettings {
        concurrency: usize::from(options.workers) * usize::from(options.jobs_per_worker),
        max_attempts: options.job_max_retries + 1,
        run_timeout: Duration::from_secs(options.job_timeout_secs),
        grace: Duration::from_secs(options.shutdown_grace_secs),
        crons: options.crons,
        ..WorkerSettings::default()
    };
    retention::sweeps(&mut settings, config, env)?;
    Ok(settings)
}

pub(super) fn api(config: &AppConfig, env: &BTreeMap<String, String>) -> Result<Settings, CommandError> {
    let mut settings = Settings { host: host_info(), ..Settings::default() };
    http::apply(&mut settings, config, &Variables(env))?;
    settings.security = auth::document(config.auth.as_ref());
    if let Some(ttl) = config.store.as_ref().and_then(|store| store.ttl.as_ref()) {
        settings.store_default_ttl_minutes = ttl.default_ttl;
        settings.store_refresh_on_read = ttl.refresh_on_read.unwrap_or(true);
    }
    settings.thread_ttl = retention::thread_ttl(config, env)?;
    Ok(settings)
}

/// Where the server runs, from the variables that say so to LangGraph's own servers.
fn host_info() -> HostInfo {
    let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    HostInfo {
        project_id: given("LANGSMITH_HOST_PROJECT_ID"),
        host_revision_id: given("LANGSMITH_HOST_REVISION_ID"),
        revision_id: given("LANGCHAIN_REVISION_ID"),
        tenant_id: given("LANGSMITH_TENANT_ID"),
        ..HostInfo::default()
    }
}
