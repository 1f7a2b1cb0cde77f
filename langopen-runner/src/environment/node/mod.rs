//! The environment of JavaScript and TypeScript code: node, the application's packages, and the host program with its
//! packages.
//!
//! The package manager of the lock file installs the application's packages in the lock file's folder, where node
//! searches for them. A note beside them holds the fingerprint of their inputs. While the fingerprint matches, no
//! process is started. Packages without such a note belong to the user and are used unchanged.
//!
//! The host program brings packages of its own: `tsx`, which translates TypeScript; the TypeScript compiler, which
//! infers the schemas of states; the bundler of user interfaces; and the codec of frames. Node's own type stripping
//! supports too little of the language (no enums, no parameter properties, no JSX, no imports without an extension),
//! and an application should not have to depend on the host's tools. npm installs them once into the cache folder, from
//! the host program's own lock file.

mod host;
mod interpreter;
mod manager;
mod project;

use std::path::{Path, PathBuf};

use super::error::EnvironmentError;
use super::hash::Hasher;
use super::progress::{Listener, Progress};
use super::{Options, cache};
use crate::config::{AppConfig, Language};
use crate::host::Surroundings;
use interpreter::Node;
use manager::Manager;
use project::Project;

// Increase it when packages are installed differently, so that old ones are not reused.
const FORMAT: &str = "1";

/// The note beside installed packages, with the fingerprint of their inputs.
const NOTE: &str = ".langopen";

/// The inputs of an application's JavaScript environment.
#[derive(Debug)]
pub struct NodePlan {
    node: Node,
    /// `None` for an application that has only components, which need no packages.
    project: Option<Project>,
    cache_dir: PathBuf,
    surroundings: Surroundings,
    /// Whether node executes code of the application.
    executes: bool,
    hash: String,
}

/// A finished JavaScript environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEnvironment {
    /// The node executable.
    pub node: PathBuf,
    /// The folder of the host program.
    pub program: PathBuf,
    /// Whether this call installed something.
    pub fresh: bool,
}

impl NodePlan {
    /// Finds node and the lock file, and reads the inputs of the fingerprint.
    ///
    /// # Errors
    ///
    /// `EnvironmentError` if node is missing or too old, or if `package.json` or the lock file is missing.
    pub async fn new(config: &AppConfig, options: &Options) -> Result<Self, EnvironmentError> {
        let cache_dir = std::path::absolute(&options.cache_dir)
            .map_err(EnvironmentError::io(&options.cache_dir, "cannot be made absolute"))?;
        let executes = config.uses(Language::JavaScript);
        let project = match Project::find(config.base_dir()) {
            Err(EnvironmentError::PackageJsonMissing { .. }) if !executes => None,
            found => Some(found?),
        };
        let node = interpreter::find(options.node.as_deref(), config.image.node_version, &options.inherited).await?;
        let hash = fingerprint(&node, project.as_ref());
        let surroundings = options.surroundings();
        Ok(Self { node, project, cache_dir, surroundings, executes, hash })
    }

    /// The fingerprint of the packages' inputs: 32 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The node executable, and its version.
    #[must_use]
    pub fn interpreter(&self) -> (&Path, &str) {
        (&self.node.path, &self.node.version)
    }

    /// The lock file of the packages; `None` for components without packages.
    #[must_use]
    pub fn lock_file(&self) -> Option<&Path> {
        self.project.as_ref().map(|project| project.lock.as_path())
    }

    /// Installs the missing packages. `progress` receives every step and every output line of the tools.
    ///
    /// Dropping the future kills the tools; the next call repairs an incomplete installation.
    ///
    /// # Errors
    ///
    /// `EnvironmentError` if a package manager fails or is missing, or if a folder cannot be written.
    pub async fn ensure(&self, progress: impl Fn(Progress) + Send + Sync) -> Result<NodeEnvironment, EnvironmentError> {
        tokio::fs::create_dir_all(&self.cache_dir)
            .await
            .map_err(EnvironmentError::io(&self.cache_dir, "cannot be made"))?;
        let installed = self.install(&progress).await?;
        let (program, unpacked) = host::ensure(&self.node, &self.cache_dir, &self.surroundings, &progress).await?;
        Ok(NodeEnvironment { node: self.node.path.clone(), program, fresh: installed || unpacked })
    }

    /// Installs the application's packages; returns whether it was necessary.
    async fn install(&self, progress: Listener<'_>) -> Result<bool, EnvironmentError> {
        let Some(project) = &self.project else { return Ok(false) };
        let packages = project.root.join("node_modules");
        match noted(&packages) {
            Some(hash) if hash == self.hash => return Ok(false),
            None if project.has_langgraph() || (!self.executes && packages.is_dir()) => {
                let folder = packages.display();
                progress(Progress::Note(format!(
                    "using the packages in {folder} as they are; remove it to have them installed"
                )));
                return Ok(false);
            }
            _ => {}
        }
        let mut folder = Hasher::new();
        folder.path("root", &project.root);
        let _lock = cache::lock(&self.cache_dir.join(format!("packages-{}.lock", folder.finish())), progress).await?;
        // The previous owner of the lock may have installed them.
        if noted(&packages).as_deref() == Some(&self.hash) {
            return Ok(false);
        }
        let manager = Manager::find(project.kind, &self.node, &project.lock)?;
        progress(Progress::InstallingPackages { manager: project.kind.name(), folder: project.root.clone() });
        manager.install(&project.root, &project.lock).run(&self.surroundings, progress).await?;
        let note = packages.join(NOTE);
        let write = async {
            // A project without dependencies has no such folder.
            tokio::fs::create_dir_all(&packages).await?;
            tokio::fs::write(&note, &self.hash).await
        };
        write.await.map_err(EnvironmentError::io(&note, "cannot be written"))?;
        Ok(true)
    }
}

fn noted(packages: &Path) -> Option<String> {
    std::fs::read_to_string(packages.join(NOTE)).ok().map(|text| text.trim().to_owned())
}

fn fingerprint(node: &Node, project: Option<&Project>) -> String {
    let mut hasher = Hasher::new();
    hasher.text("format", FORMAT);
    hasher.text("manager", project.map_or("none", |project| project.kind.name()));
    // Compiled packages fit one major version of node.
    hasher.text("node", &node.major().to_string());
    hasher.text("machine", std::env::consts::ARCH);
    for path in project.map(Project::watched).unwrap_or_default() {
        hasher.path("file", &path);
        match std::fs::read(&path) {
            Ok(content) => hasher.bytes("content", &content),
            Err(_) => hasher.text("absent", ""),
        }
    }
    hasher.finish()
}
