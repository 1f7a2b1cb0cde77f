//! The Node.js host program and its packages, below the cache folder.

use std::path::{Path, PathBuf};

use super::interpreter::Node;
use super::manager::{Kind, Manager};
use crate::environment::cache;
use crate::environment::error::EnvironmentError;
use crate::environment::progress::{Listener, Progress};
use crate::host::{Surroundings, node_name, unpack_node};

/// The marker file. It is written last, so it identifies a complete folder.
const MARKER: &str = "complete";

/// Installs the program unless it is already installed. Returns its folder, and whether this call installed it.
pub(super) async fn ensure(
    node: &Node,
    cache_dir: &Path,
    surroundings: &Surroundings,
    progress: Listener<'_>,
) -> Result<(PathBuf, bool), EnvironmentError> {
    // Its compiled packages fit one platform and architecture.
    let name = format!("node-host-{}-{}", node_name(), std::env::consts::ARCH);
    let folder = cache_dir.join(&name);
    let marker = folder.join(MARKER);
    if marker.is_file() {
        return Ok((folder, false));
    }
    let _lock = cache::lock(&cache_dir.join(format!("{name}.lock")), progress).await?;
    // The previous owner of the lock may have installed it.
    if marker.is_file() {
        return Ok((folder, false));
    }
    let failed = || EnvironmentError::io(&folder, "cannot be written");
    unpack_node(&folder).map_err(failed())?;
    let npm = Manager::find(Kind::Npm, node, &folder.join("package-lock.json"))?;
    progress(Progress::InstallingHost(folder.clone()));
    npm.install_host(&folder).run(surroundings, progress).await?;
    tokio::fs::write(&marker, "").await.map_err(failed())?;
    Ok((folder, true))
}
