//! What a pool of hosts is started with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::host::{HostError, HostSpec, Init, InitAuth, InitGraph, InitHttp, InitServer, unpack};

/// A graph to serve.
#[derive(Debug, Clone)]
pub struct PoolGraph {
    /// `path.py:variable` or `module:variable`.
    pub target: String,
    /// For people.
    pub description: Option<String>,
}

/// What a pool of hosts is started with.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// How many processes share the load; at least 1.
    pub hosts: usize,
    /// The interpreter of the application's environment.
    pub python: PathBuf,
    /// A folder of ours for the host program's files.
    pub program_dir: PathBuf,
    /// The application's folder.
    pub base_dir: PathBuf,
    /// Folders that Python imports from, beside the environment's own.
    pub search_path: Vec<PathBuf>,
    /// The application's own environment variables.
    pub env: BTreeMap<String, String>,
    /// The graphs, by id.
    pub graphs: BTreeMap<String, PoolGraph>,
    /// The application's `Auth` object, as `path.py:variable` or `module:variable`.
    pub auth: Option<String>,
    /// The application's store index, as `langgraph.json` has it.
    pub store_index: Option<Value>,
    /// How long items live that graphs put: `{default_ttl: minutes, refresh_on_read}`.
    pub store_ttl: Option<Value>,
    /// The application's own web app: `path.py:variable` or `module:variable`.
    pub web_app: Option<String>,
    /// The path that the API is mounted at, or empty.
    pub mount_prefix: String,
    /// The address that runs show as `langgraph_api_url`.
    pub api_url: String,
    /// How long importing the graphs may take.
    pub load_timeout: Duration,
    /// After how long without a sign of life a host is killed and started again. A graph that blocks the host's loop is silent too, so
    /// this is longer than any honest work that a graph does without awaiting.
    pub unresponsive_after: Duration,
}

impl PoolSettings {
    /// The default of `load_timeout`.
    pub const LOAD_TIMEOUT: Duration = Duration::from_secs(300);
    /// The default of `unresponsive_after`.
    pub const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(600);

    pub(super) fn host_spec(&self) -> Result<HostSpec, HostError> {
        let prepare = |source| HostError::Prepare { path: self.program_dir.clone(), source };
        let graph =
            |graph: &PoolGraph| InitGraph { target: graph.target.clone(), description: graph.description.clone() };
        Ok(HostSpec {
            python: self.python.clone(),
            program: unpack(&self.program_dir).map_err(prepare)?,
            base_dir: self.base_dir.clone(),
            env: self.env.clone(),
            init: Init {
                graphs: self.graphs.iter().map(|(id, each)| (id.clone(), graph(each))).collect(),
                base_dir: self.base_dir.clone(),
                search_path: self.search_path.clone(),
                server: InitServer {
                    api_version: env!("CARGO_PKG_VERSION").to_owned(),
                    host: "self-hosted".to_owned(),
                    plan: "open".to_owned(),
                    api_url: self.api_url.clone(),
                },
                store_index: self.store_index.clone(),
                store_ttl: self.store_ttl.clone(),
                auth: self.auth.clone().map(|path| InitAuth { path }),
                http: InitHttp { app: self.web_app.clone(), root_path: self.mount_prefix.clone() },
            },
            load_timeout: self.load_timeout,
        })
    }
}
