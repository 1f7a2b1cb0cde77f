//! The settings of a pool of hosts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::config::Language;
use crate::host::{
    HostError, HostSpec, Init, InitAuth, InitGraph, InitHttp, InitServer, InitUi, Runtime, Surroundings, unpack,
};
use crate::inherited::Inherited;
use crate::sandbox::Sandbox;

/// A graph to serve.
#[derive(Debug, Clone)]
pub struct PoolGraph {
    /// The object: `path.py:variable`, `module:variable` or `path.ts:export`.
    pub target: String,
    /// A description for people.
    pub description: Option<String>,
}

/// The runtime of the application's Python code.
#[derive(Debug, Clone)]
pub struct PythonRuntime {
    /// The interpreter of the application's environment.
    pub interpreter: PathBuf,
    /// Folders on Python's import path, in addition to the environment's own.
    pub search_path: Vec<PathBuf>,
}

/// The runtime of the application's JavaScript and TypeScript code.
#[derive(Debug, Clone)]
pub struct NodeRuntime {
    /// The node executable.
    pub interpreter: PathBuf,
    /// The folder of the host program with its packages.
    pub program: PathBuf,
}

/// The settings of a pool of hosts.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The number of processes of each kind; at least 1.
    pub hosts: usize,
    /// The Python runtime; required if the application has Python code.
    pub python: Option<PythonRuntime>,
    /// The Node.js runtime; required if the application has JavaScript or TypeScript code.
    pub node: Option<NodeRuntime>,
    /// A private folder for the host program's files.
    pub program_dir: PathBuf,
    /// The application's folder.
    pub base_dir: PathBuf,
    /// The application's own environment variables.
    pub env: BTreeMap<String, String>,
    /// The server's variables that hosts inherit. The application's own variables override them.
    pub inherited: Inherited,
    /// The sandbox of the hosts; `None` for no restriction.
    pub sandbox: Option<Sandbox>,
    /// The hosts' folder for temporary files; `None` for the system's.
    pub temp_dir: Option<PathBuf>,
    /// The graphs, by id.
    pub graphs: BTreeMap<String, PoolGraph>,
    /// The target of the application's `Auth` object, written like a graph's target.
    pub auth: Option<String>,
    /// The application's store index, as in `langgraph.json`.
    pub store_index: Option<Value>,
    /// The lifetime of items that graphs put: `{default_ttl: minutes, refresh_on_read}`.
    pub store_ttl: Option<Value>,
    /// How Python hosts serialize checkpoints: `checkpointer.serde` of `langgraph.json`.
    pub serde: Option<Value>,
    /// The target of the application's web app, written like a graph's target.
    pub web_app: Option<String>,
    /// Component files to bundle for browsers, by name.
    pub ui: BTreeMap<String, String>,
    /// Packages that pages with components provide, in addition to React.
    pub ui_shared: Vec<String>,
    /// The path prefix of the API; may be empty.
    pub mount_prefix: String,
    /// The API address that runs see as `langgraph_api_url`.
    pub api_url: String,
    /// The time limit for loading the graphs.
    pub load_timeout: Duration,
    /// A host without a sign of life for so long is killed and restarted. A graph that blocks the host's event loop
    /// causes such silence too. So this must be longer than any legitimate work that a graph does without awaiting.
    pub unresponsive_after: Duration,
}

impl PoolSettings {
    /// The default of `load_timeout`.
    pub const LOAD_TIMEOUT: Duration = Duration::from_secs(300);
    /// The default of `unresponsive_after`.
    pub const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(600);

    /// The parameters of the hosts: one for each kind that the application needs.
    pub(super) fn host_specs(&self) -> Result<Vec<HostSpec>, HostError> {
        let prepare = |source| HostError::Prepare { path: self.program_dir.clone(), source };
        let mut specs = Vec::new();
        if let Some(PythonRuntime { interpreter, search_path }) = self.python.clone() {
            let program = unpack(&self.program_dir).map_err(prepare)?;
            specs.push(self.spec(Language::Python, Runtime::Python { interpreter, program }, search_path));
        }
        if let Some(NodeRuntime { interpreter, program }) = self.node.clone() {
            specs.push(self.spec(Language::JavaScript, Runtime::Node { interpreter, program }, Vec::new()));
        }
        // A host that has nothing to load is not needed if there are others.
        if specs.len() > 1 {
            specs.retain(|spec| !spec.init.is_idle());
        }
        Ok(specs)
    }

    /// The components. Hosts of one language bundle all of them.
    fn ui_of(&self, language: Language) -> Option<InitUi> {
        let there = language == Language::JavaScript && !self.ui.is_empty();
        there.then(|| InitUi { sources: self.ui.clone(), shared: self.ui_shared.clone() })
    }

    /// The part of the application that is written in one language.
    fn spec(&self, language: Language, runtime: Runtime, search_path: Vec<PathBuf>) -> HostSpec {
        let own = |target: &&String| Language::of(target) == language;
        let graphs = self.graphs.iter().filter(|(_, graph)| own(&&graph.target));
        let graph =
            |graph: &PoolGraph| InitGraph { target: graph.target.clone(), description: graph.description.clone() };
        let embed = |index: &&Value| index.get("embed").and_then(Value::as_str).map(Language::of) == Some(language);
        HostSpec {
            runtime,
            base_dir: self.base_dir.clone(),
            surroundings: Surroundings {
                inherited: self.inherited.clone(),
                sandbox: self.sandbox.clone(),
                temp_dir: self.temp_dir.clone(),
            },
            env: self.env.clone(),
            init: Init {
                graphs: graphs.map(|(id, each)| (id.clone(), graph(each))).collect(),
                base_dir: self.base_dir.clone(),
                search_path,
                server: InitServer {
                    api_version: env!("CARGO_PKG_VERSION").to_owned(),
                    host: "self-hosted".to_owned(),
                    plan: "open".to_owned(),
                    api_url: self.api_url.clone(),
                },
                store_index: self.store_index.as_ref().filter(embed).cloned(),
                store_ttl: self.store_ttl.clone(),
                serde: self.serde.clone(),
                auth: self.auth.as_ref().filter(own).map(|path| InitAuth { path: path.clone() }),
                http: InitHttp {
                    app: self.web_app.as_ref().filter(own).cloned(),
                    root_path: self.mount_prefix.clone(),
                },
                ui: self.ui_of(language),
            },
            load_timeout: self.load_timeout,
        }
    }
}
