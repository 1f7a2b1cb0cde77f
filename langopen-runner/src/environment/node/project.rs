//! The application's project: its `package.json`, and the lock file with its packages.

use std::path::{Path, PathBuf};

use super::manager::Kind;
use crate::environment::error::EnvironmentError;

const PACKAGE_JSON: &str = "package.json";

/// An application's project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    /// The folder of the `package.json` that the application belongs to.
    pub folder: PathBuf,
    /// The folder of the lock file, where packages are installed: the project's own folder, or that of its workspace.
    pub root: PathBuf,
    pub lock: PathBuf,
    pub kind: Kind,
}

impl Project {
    /// Finds the project of the application in `base_dir`.
    pub(super) fn find(base_dir: &Path) -> Result<Self, EnvironmentError> {
        let folder = base_dir.ancestors().find(|folder| folder.join(PACKAGE_JSON).is_file());
        let folder = folder.ok_or_else(|| EnvironmentError::PackageJsonMissing { folder: base_dir.to_owned() })?;
        // A member of a workspace has its lock file in a folder above.
        let roots = folder.ancestors().filter(|root| root.join(PACKAGE_JSON).is_file());
        let found = roots.into_iter().find_map(|root| {
            let named = named_manager(root);
            let mut locks =
                Kind::ALL.into_iter().flat_map(|kind| kind.lock_files().iter().map(move |name| (kind, *name)));
            let mut there: Vec<_> = locks.by_ref().filter(|(_, name)| root.join(name).is_file()).collect();
            // If there are several lock files, the one of the manager in `package.json` takes precedence.
            there.sort_by_key(|(kind, _)| Some(*kind) != named);
            there.first().map(|(kind, name)| (root, *kind, root.join(name)))
        });
        let missing = || EnvironmentError::NodeLockFileMissing { package_json: folder.join(PACKAGE_JSON) };
        let (root, kind, lock) = found.ok_or_else(missing)?;
        Ok(Self { folder: folder.to_owned(), root: root.to_owned(), lock, kind })
    }

    /// Whether langgraph is installed where the application's code finds it.
    pub(super) fn has_langgraph(&self) -> bool {
        self.folder.ancestors().any(|folder| folder.join("node_modules/@langchain/langgraph/package.json").is_file())
    }

    /// The files that determine the installed packages. Some may not exist.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        const SETTINGS: [&str; 5] = [PACKAGE_JSON, ".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml"];
        let mut files = vec![self.lock.clone(), self.folder.join(PACKAGE_JSON)];
        files.extend(SETTINGS.iter().map(|name| self.root.join(name)));
        files.dedup();
        files
    }
}

/// The manager in `packageManager`, such as `pnpm@9.1.0`.
fn named_manager(root: &Path) -> Option<Kind> {
    let text = std::fs::read(root.join(PACKAGE_JSON)).ok()?;
    let package: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let name = package.get("packageManager")?.as_str()?.split('@').next()?;
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}
