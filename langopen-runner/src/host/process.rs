//! Starting a host: its parameters, its environment, and its offer when it is ready.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use langopen_core::executor::GraphInfo;
use metrics::gauge;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::process::Command;
use tokio_util::codec::Framed;
use uuid::Uuid;

use super::child::Process;
use super::handshake;
use super::output::{Tail, forward};
use super::surroundings::Surroundings;
use super::web::WebApp;
use super::{Attach, Behind, HandleRange, Host, Owner, Status};
use crate::frame::FrameCodec;
use crate::frame::payload::{Fatal, Ready, ReadyAuth, UiOffer};
use crate::metrics::HOST_LOAD;

/// The parameters of a host.
#[derive(Debug, Clone)]
pub(crate) struct HostSpec {
    /// The interpreter for the graphs.
    pub(crate) runtime: Runtime,
    /// The application's folder, which is also the working directory.
    pub(crate) base_dir: PathBuf,
    /// What it sees of the machine and of the server's variables.
    pub(crate) surroundings: Surroundings,
    /// The application's own variables.
    pub(crate) env: BTreeMap<String, String>,
    /// The payload of INIT.
    pub(crate) init: Init,
    /// How long importing the graphs may take.
    pub(crate) load_timeout: Duration,
}

impl HostSpec {
    /// The parameters of a host that executes one run at a time. It has neither the web app, whose lifespan must not
    /// begin once more, nor the login.
    pub(crate) fn for_runs_alone(&self) -> Self {
        let http = InitHttp { app: None, ..self.init.http.clone() };
        Self { init: Init { auth: None, ui: None, http, ..self.init.clone() }, ..self.clone() }
    }
}

/// The interpreter for graphs of one language, and the folder of the host program.
#[derive(Debug, Clone)]
pub(crate) enum Runtime {
    /// The interpreter of the application's environment, and a folder for its path.
    Python { interpreter: PathBuf, program: PathBuf },
    /// Node, and the folder of the program with its packages.
    Node { interpreter: PathBuf, program: PathBuf },
}

impl Runtime {
    fn interpreter(&self) -> &Path {
        let (Self::Python { interpreter, .. } | Self::Node { interpreter, .. }) = self;
        interpreter
    }

    fn command(&self, surroundings: &Surroundings) -> Command {
        let mut command = surroundings.command(self.interpreter());
        match self {
            Self::Python { .. } => {
                // -P: Python would import from the working directory first, where a module of the application would
                // replace one of the standard library. The host adds the application's folders itself.
                command.args(["-P", "-m", "langopen_host"]);
            }
            Self::Node { program, .. } => {
                // With this option, the host program finds the library as the application's own modules do.
                command.args(["--experimental-import-meta-resolve", "--disable-warning=ExperimentalWarning"]);
                command.arg("--enable-source-maps").arg(program.join("main.js"));
            }
        }
        command
    }

    /// Variables that override those of the application.
    fn variables(&self) -> Vec<(&'static str, OsString)> {
        match self {
            Self::Python { program, .. } => vec![("PYTHONPATH", program.into()), ("PYTHONUNBUFFERED", "1".into())],
            Self::Node { .. } => Vec::new(),
        }
    }
}

/// The payload of INIT.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Init {
    pub(crate) graphs: BTreeMap<String, InitGraph>,
    pub(crate) base_dir: PathBuf,
    pub(crate) search_path: Vec<PathBuf>,
    pub(crate) server: InitServer,
    pub(crate) store_index: Option<serde_json::Value>,
    pub(crate) store_ttl: Option<serde_json::Value>,
    /// How checkpoints are serialized, see "INIT" in the README.
    pub(crate) serde: Option<serde_json::Value>,
    pub(crate) auth: Option<InitAuth>,
    pub(crate) http: InitHttp,
    pub(crate) ui: Option<InitUi>,
}

impl Init {
    /// Whether there is nothing to load.
    pub(crate) fn is_idle(&self) -> bool {
        self.ui.is_none() && self.has_no_code()
    }

    /// Whether it executes nothing of the application's.
    pub(crate) fn has_no_code(&self) -> bool {
        self.graphs.is_empty() && self.auth.is_none() && self.store_index.is_none() && self.http.app.is_none()
    }
}

/// The application's `Auth` object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InitAuth {
    pub(crate) path: String,
}

/// The application's own web app, if it has one, and where the API is mounted.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InitHttp {
    pub(crate) app: Option<String>,
    pub(crate) root_path: String,
}

/// Components to bundle for browsers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InitUi {
    /// Files by name.
    pub(crate) sources: BTreeMap<String, String>,
    /// Packages that the page hands out.
    pub(crate) shared: Vec<String>,
}

/// A graph to load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InitGraph {
    pub(crate) target: String,
    pub(crate) description: Option<String>,
}

/// The server's part of a run's metadata.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InitServer {
    pub(crate) api_version: String,
    pub(crate) host: String,
    pub(crate) plan: String,
    pub(crate) api_url: String,
}

/// Why a graph, or another object that the configuration names, could not be loaded.
#[derive(Debug, Clone)]
pub struct LoadFailure {
    /// The graph's id, when the failure belongs to one.
    pub graph_id: Option<String>,
    /// Its target in `langgraph.json`.
    pub target: Option<String>,
    /// The error's class.
    pub error: String,
    /// The error's message.
    pub message: String,
    /// Where in the user's code it was raised.
    pub traceback: Option<String>,
}

impl From<Fatal> for LoadFailure {
    fn from(fatal: Fatal) -> Self {
        let Fatal { error, message, traceback, graph_id, target } = fatal;
        Self { graph_id, target, error, message, traceback }
    }
}

impl std::fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.graph_id, &self.target) {
            (Some(graph_id), Some(target)) => write!(f, "graph {graph_id:?} ({target}) cannot be loaded: ")?,
            (None, Some(target)) => write!(f, "{target} cannot be loaded: ")?,
            _ => f.write_str("the graphs cannot be loaded: ")?,
        }
        write!(f, "{}: {}", self.error, self.message)?;
        if let Some(traceback) = self.traceback.as_deref().filter(|text| !text.trim().is_empty()) {
            write!(f, "\n\n{}", traceback.trim_end())?;
        }
        Ok(())
    }
}

/// Why a graph host is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The process could not be started.
    #[error("cannot start the graph host with {interpreter}: {source}")]
    Spawn {
        /// Python or node.
        interpreter: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket or a file for the host could not be made.
    #[error("cannot prepare the graph host in {path}: {source}")]
    Prepare {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process ended before it was ready.
    #[error("the graph host ended before it was ready ({status}){output}")]
    Exited {
        /// How.
        status: ExitStatus,
        /// Its last output, beginning with a line break.
        output: String,
    },
    /// It did not get ready in time.
    #[error(
        "the graph host was not ready within {0:?}; does a graph's module wait for something while it is imported?"
    )]
    Slow(Duration),
    /// It did not follow the protocol.
    #[error("the graph host cannot be used: {0}")]
    Protocol(String),
    /// A graph could not be loaded.
    #[error("{0}")]
    Load(Box<LoadFailure>),
}

/// The offer of a host that is ready.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// The version of the library in the application's environment.
    pub(crate) langgraph_version: String,
    /// The resources and actions that the application's `Auth` object handles.
    pub(crate) auth: Option<ReadyAuth>,
    pub(crate) graphs: Vec<GraphInfo>,
    /// The application's own web app.
    pub(crate) http: Option<WebApp>,
    /// Whether it makes vectors of texts.
    #[serde(default)]
    pub(crate) embeds: bool,
    /// Bundles of components for browsers, by name.
    #[serde(default)]
    pub(crate) ui: BTreeMap<String, UiOffer>,
}

impl Offer {
    /// The joint offer of hosts of different kinds.
    pub(crate) fn join(offers: impl IntoIterator<Item = Arc<Self>>) -> Self {
        let mut joined = Self::default();
        for offer in offers {
            let Self { langgraph_version, auth, graphs, http, embeds, ui } = (*offer).clone();
            if joined.langgraph_version.is_empty() {
                joined.langgraph_version = langgraph_version;
            }
            joined.auth = joined.auth.or(auth);
            joined.http = joined.http.or(http);
            joined.graphs.extend(graphs);
            joined.embeds |= embeds;
            joined.ui.extend(ui);
        }
        joined.graphs.sort_by(|one, other| one.graph_id.cmp(&other.graph_id));
        joined
    }

    /// Whether it has the graph.
    pub(crate) fn has_graph(&self, graph_id: &str) -> bool {
        self.graphs.iter().any(|graph| graph.graph_id == graph_id)
    }
}

/// Starts a host and waits until its graphs are loaded. The caller must await the end of the process, and then
/// [bury](Host::bury) the host.
pub(crate) async fn start(
    spec: &HostSpec,
    number: usize,
    owner: Arc<Owner>,
) -> Result<(Arc<Host>, Process), HostError> {
    // Other users of the machine cannot open a socket in a folder that only this user can read.
    let folder = tempfile::Builder::new().prefix("langopen-host-").tempdir();
    let folder = folder.map_err(|source| HostError::Prepare { path: std::env::temp_dir(), source })?;
    let socket = folder.path().join("host.sock");
    let prepare = |source| HostError::Prepare { path: socket.clone(), source };
    let listener = UnixListener::bind(&socket).map_err(prepare)?;
    let token = Uuid::new_v4().simple().to_string();
    let spawn = |source| HostError::Spawn { interpreter: spec.runtime.interpreter().to_owned(), source };
    let mut process = Process::launch(command(spec, &socket, &token)).await.map_err(spawn)?;
    let tail = Tail::default();
    let (stdout, stderr) = process.outputs();
    forward(stdout, number, "stdout", tail.clone());
    forward(stderr, number, "stderr", tail.clone());
    let connect = async {
        let (stream, _) = listener.accept().await.map_err(prepare)?;
        let mut connection = Framed::new(stream, FrameCodec::default());
        let langgraph_version = handshake::greet(&mut connection, &token).await?;
        let Ready { graphs, auth, http, embeds, ui } = handshake::load(&mut connection, spec).await?;
        Ok((Offer { langgraph_version, graphs, auth, http, embeds, ui }, connection))
    };
    let connected = tokio::select! {
        connected = connect => connected,
        status = process.wait() => Err(exited(status.map_err(prepare)?, &tail).await),
        () = tokio::time::sleep(spec.load_timeout) => Err(HostError::Slow(spec.load_timeout)),
    };
    match connected {
        Ok((offer, connection)) => {
            let attach = Attach {
                number,
                offer: Arc::new(offer),
                handles: HandleRange::ALL,
                status: Status::ONE_HOST,
                load: gauge!(HOST_LOAD, "host" => number.to_string()),
                owner,
                behind: Behind::Process,
            };
            Ok((Host::attach(attach, connection), process))
        }
        Err(mut error) => {
            if matches!(error, HostError::Protocol(_)) {
                // A host that breaks off while it loads has usually died; its own last words explain more.
                let ended = tokio::time::timeout(Duration::from_secs(1), process.wait()).await;
                if let Ok(Ok(status)) = ended
                    && !status.success()
                {
                    error = exited(status, &tail).await;
                }
            }
            process.end().await;
            Err(error)
        }
    }
}

async fn exited(status: ExitStatus, tail: &Tail) -> HostError {
    // The pipes may hold a last line that their readers have not seen yet.
    tokio::time::sleep(Duration::from_millis(100)).await;
    HostError::Exited { status, output: tail.text() }
}

fn command(spec: &HostSpec, socket: &Path, token: &str) -> Command {
    let mut command = spec.runtime.command(&spec.surroundings);
    command
        .current_dir(&spec.base_dir)
        .envs(&spec.env)
        .envs(spec.runtime.variables())
        .env("LANGOPEN_HOST_SOCKET", socket)
        .env("LANGOPEN_HOST_TOKEN", token)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
