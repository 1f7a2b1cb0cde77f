//! Starts a host: its parameters, its environment, and its offer once it is ready.

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
    /// The application's folder. It is also the working directory.
    pub(crate) base_dir: PathBuf,
    /// The parts of the machine and the variables that the host sees.
    pub(crate) surroundings: Surroundings,
    /// The application's own variables.
    pub(crate) env: BTreeMap<String, String>,
    /// The payload of INIT.
    pub(crate) init: Init,
    /// The time limit for loading the graphs.
    pub(crate) load_timeout: Duration,
}

impl HostSpec {
    /// The parameters of a host that executes one run at a time. It has no login, and no web app, because the app's
    /// lifespan must not begin a second time.
    pub(crate) fn for_runs_alone(&self) -> Self {
        let http = InitHttp { app: None, ..self.init.http.clone() };
        Self { init: Init { auth: None, ui: None, http, ..self.init.clone() }, ..self.clone() }
    }
}

/// The interpreter for graphs of one language, and the folder of the host program.
#[derive(Debug, Clone)]
pub(crate) enum Runtime {
    /// The interpreter of the application's environment, and the folder of the host program for its path.
    Python { interpreter: PathBuf, program: PathBuf },
    /// Node, and the folder of the host program with its packages.
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
                // `-P`: otherwise Python would import from the working directory first, where a module of the
                // application could replace one of the standard library. The host adds the application's folders
                // itself.
                command.args(["-P", "-m", "langopen_host"]);
            }
            Self::Node { program, .. } => {
                // With this option, the host program resolves the library as the application's own modules do.
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
    /// How checkpoints are serialized; see "INIT" in the README.
    pub(crate) serde: Option<serde_json::Value>,
    pub(crate) auth: Option<InitAuth>,
    pub(crate) http: InitHttp,
    pub(crate) ui: Option<InitUi>,
}

impl Init {
    /// Whether the host has nothing to load.
    pub(crate) fn is_idle(&self) -> bool {
        self.ui.is_none() && self.has_no_code()
    }

    /// Whether the host executes no code of the application.
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
    /// The component files by name.
    pub(crate) sources: BTreeMap<String, String>,
    /// The packages that the page provides.
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

/// Why the host could not load a graph or another configured object.
#[derive(Debug, Clone)]
pub struct LoadFailure {
    /// The id of the graph, if the failure belongs to one.
    pub graph_id: Option<String>,
    /// The target in `langgraph.json`.
    pub target: Option<String>,
    /// The class of the error.
    pub error: String,
    /// The message of the error.
    pub message: String,
    /// The traceback through the user's code.
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

/// Why a graph host could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The process could not be started.
    #[error("cannot start the graph host with {interpreter}: {source}")]
    Spawn {
        /// The Python or node executable.
        interpreter: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The socket or a file of the host could not be created.
    #[error("cannot prepare the graph host in {path}: {source}")]
    Prepare {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The process ended before it was ready.
    #[error("the graph host ended before it was ready ({status}){output}")]
    Exited {
        /// The exit status.
        status: ExitStatus,
        /// Its last output, after a line break; empty if there is none.
        output: String,
    },
    /// The process was not ready within the time limit.
    #[error(
        "the graph host was not ready within {0:?}; does a graph's module wait for something while it is imported?"
    )]
    Slow(Duration),
    /// The process did not follow the protocol.
    #[error("the graph host cannot be used: {0}")]
    Protocol(String),
    /// A graph could not be loaded.
    #[error("{0}")]
    Load(Box<LoadFailure>),
}

/// The offer of a host that is ready: the parts of the application that it has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// The version of the library in the application's environment.
    pub(crate) langgraph_version: String,
    /// The resources and actions that the application's `Auth` object handles.
    pub(crate) auth: Option<ReadyAuth>,
    pub(crate) graphs: Vec<GraphInfo>,
    /// The application's own web app.
    pub(crate) http: Option<WebApp>,
    /// Whether it computes embeddings of texts.
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

    /// Whether the offer includes the graph.
    pub(crate) fn has_graph(&self, graph_id: &str) -> bool {
        self.graphs.iter().any(|graph| graph.graph_id == graph_id)
    }
}

/// Starts a host and waits until it has loaded its graphs. The caller must wait for the end of the process, and then
/// [bury](Host::bury) the host.
pub(crate) async fn start(
    spec: &HostSpec,
    number: usize,
    owner: Arc<Owner>,
) -> Result<(Arc<Host>, Process), HostError> {
    // The folder is readable only for this user, so no other user of the machine can open the socket.
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
                // A host that closes the connection while it loads has usually died. Its last output explains more.
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
    // The pipes may hold a last line that their readers have not read yet.
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
