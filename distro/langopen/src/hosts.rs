//! The application's environments and the settings of its hosts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use langopen_runner::config::{AppSettings, Graph, Language, ResolvedEnv, Secret, SerdeConfig};
use langopen_runner::environment::{EnvironmentPlan, NodePlan, Options, Progress};
use langopen_runner::{AppConfig, Inherited, NodeRuntime, PoolGraph, PoolSettings, PythonRuntime};
use serde_json::json;

use crate::announce::say;
use crate::app::mount_prefix;
use crate::error::CommandError;
use crate::isolation::Isolation;

/// How this machine runs graph hosts.
pub(crate) struct HostOptions {
    pub(crate) hosts: u16,
    pub(crate) environment: Options,
    pub(crate) isolation: Isolation,
    /// The folder of the graph host program's files.
    pub(crate) program_dir: PathBuf,
    /// The value of `langgraph_api_url` in runs, without the mount prefix.
    pub(crate) api_url: String,
}

/// An application: its configuration and its variables.
pub(crate) struct Application {
    pub(crate) config: AppConfig,
    /// Its variables.
    pub(crate) env: BTreeMap<String, String>,
    /// The settings that the API and the worker need.
    pub(crate) settings: AppSettings,
    /// The headers of webhooks, with their templates resolved.
    pub(crate) webhook_headers: BTreeMap<String, Secret>,
}

impl Application {
    /// Reads `langgraph.json`, and prints which parts of it have no effect. The application may use the variables in
    /// `inherited`.
    pub(crate) fn read(path: &Path, inherited: &Inherited) -> Result<Self, CommandError> {
        let config = AppConfig::load(path)?;
        let (fatal, rest): (Vec<_>, Vec<_>) = config.require_supported().into_iter().partition(|found| found.fatal);
        if !fatal.is_empty() {
            return Err(CommandError::Unsupported { path: path.to_owned(), found: fatal });
        }
        let names = config.graphs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        say("config", &format!("{} (graphs: {names})", path.display()));
        for warning in config.warnings() {
            say("note", &warning.to_string());
        }
        for found in rest {
            say("note", &found.to_string());
        }
        let ResolvedEnv { variables: env, warnings } = config.resolve_env(|name| inherited.get(name))?;
        for warning in warnings {
            say("note", &warning.to_string());
        }
        let settings = AppSettings::of(&config, &env);
        // The application chooses which variables its webhooks contain. The platform's own variables are therefore
        // excluded.
        let webhook_headers =
            config.resolve_webhook_headers(|name| inherited.get(name).or_else(|| env.get(name).cloned()))?;
        Ok(Self { config, env, settings, webhook_headers })
    }

    /// Builds the missing environments, and returns the settings of the hosts.
    pub(crate) async fn prepare(&self, options: HostOptions) -> Result<PoolSettings, CommandError> {
        let HostOptions { hosts, mut environment, isolation, program_dir, api_url } = options;
        environment.inherited = isolation.inherited.clone();
        environment.sandbox = isolation.for_installers();
        std::fs::create_dir_all(&program_dir)
            .map_err(|source| CommandError::DataFolder { path: program_dir.clone(), source })?;
        let node = self.node(&environment).await?;
        let python = self.python(environment).await?;
        // One host can bundle all components.
        let nodes = if self.config.uses(Language::JavaScript) { hosts } else { 1 };
        let kinds = [("Python", python.is_some(), hosts), ("Node.js", node.is_some(), nodes)];
        let kinds: Vec<_> =
            kinds.iter().filter(|(_, there, _)| *there).map(|(kind, _, count)| format!("{count} {kind}")).collect();
        say("graphs", &format!("loading in {} processes", kinds.join(" and ")));
        let config = &self.config;
        let mount_prefix = mount_prefix(&self.settings)?.unwrap_or_default();
        let graph =
            |graph: &Graph| PoolGraph { target: graph.target.to_string(), description: graph.description.clone() };
        let store = config.store.as_ref();
        // The interpreter of an environment is in its `bin` folder.
        let environment = python.as_ref().and_then(|python| Some(python.interpreter.parent()?.parent()?.to_owned()));
        let shown: Vec<_> = [Some(program_dir.clone()), environment, node.as_ref().map(|node| node.program.clone())]
            .into_iter()
            .flatten()
            .collect();
        let (sandbox, temp_dir) = isolation.for_hosts(config.base_dir(), &shown);
        Ok(PoolSettings {
            hosts: usize::from(hosts),
            python,
            node,
            program_dir,
            base_dir: config.base_dir().to_owned(),
            env: self.env.clone(),
            inherited: isolation.inherited,
            sandbox,
            temp_dir,
            graphs: config.graphs.iter().map(|(id, each)| (id.clone(), graph(each))).collect(),
            auth: config.auth.as_ref().and_then(|auth| auth.path.as_ref()).map(ToString::to_string),
            store_index: store.and_then(|store| store.index.as_ref()).map(|index| json!(index)),
            store_ttl: store.and_then(|store| store.ttl.as_ref()).map(
                |ttl| json!({"default_ttl": ttl.default_ttl, "refresh_on_read": ttl.refresh_on_read.unwrap_or(true)}),
            ),
            serde: config.checkpointer.as_ref().and_then(|each| each.serde.as_ref()).map(SerdeConfig::document),
            web_app: config.http.as_ref().and_then(|http| http.app.as_ref()).map(ToString::to_string),
            api_url: format!("{api_url}{mount_prefix}"),
            mount_prefix,
            ui: if config.bundles_ui() { config.ui.clone() } else { BTreeMap::new() },
            ui_shared: config.ui_config.shared.clone(),
            load_timeout: PoolSettings::LOAD_TIMEOUT,
            unresponsive_after: PoolSettings::UNRESPONSIVE_AFTER,
        })
    }
}

impl Application {
    /// Builds the environment of the Python code, if the application has any.
    async fn python(&self, options: Options) -> Result<Option<PythonRuntime>, CommandError> {
        if !self.config.uses(Language::Python) {
            return Ok(None);
        }
        let plan = EnvironmentPlan::new(&self.config, options).await?;
        let environment = plan.ensure(|progress| say_progress(&progress)).await?;
        say_made(&environment.python, environment.fresh);
        Ok(Some(PythonRuntime { interpreter: environment.python, search_path: environment.search_path }))
    }

    /// Builds the environment of JavaScript, TypeScript and user interfaces, if the application has any.
    async fn node(&self, options: &Options) -> Result<Option<NodeRuntime>, CommandError> {
        if !self.config.needs_node() {
            return Ok(None);
        }
        let plan = NodePlan::new(&self.config, options).await?;
        let environment = plan.ensure(|progress| say_progress(&progress)).await?;
        say_made(&environment.node, environment.fresh);
        Ok(Some(NodeRuntime { interpreter: environment.node, program: environment.program }))
    }
}

fn say_made(interpreter: &Path, fresh: bool) {
    say("environment", &format!("{}{}", interpreter.display(), if fresh { "" } else { " (cached)" }));
}

fn say_progress(progress: &Progress) {
    match progress {
        Progress::Output(line) => say("", line),
        step => say("environment", &step.to_string()),
    }
}
