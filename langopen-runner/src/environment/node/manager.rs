//! Package managers, and how they install the packages of a lock file.

use std::path::{Path, PathBuf};

use super::interpreter::Node;
use crate::environment::command::Tool;
use crate::environment::error::EnvironmentError;

/// The supported package managers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pnpm,
    Yarn,
    Npm,
}

/// An available package manager.
#[derive(Debug)]
pub(super) struct Manager {
    kind: Kind,
    program: PathBuf,
    /// Whether `program` is corepack, which downloads and runs the manager.
    by_corepack: bool,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Pnpm, Self::Yarn, Self::Npm];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
        }
    }

    pub(super) fn lock_files(self) -> &'static [&'static str] {
        match self {
            Self::Npm => &["package-lock.json", "npm-shrinkwrap.json"],
            Self::Pnpm => &["pnpm-lock.yaml"],
            Self::Yarn => &["yarn.lock"],
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Npm => "it comes with Node.js; Debian and Ubuntu: apt install npm",
            Self::Pnpm => "npm install -g pnpm, or corepack enable",
            Self::Yarn => "npm install -g yarn, or corepack enable",
        }
    }
}

impl Manager {
    /// Finds the manager of `kind`: beside node, on PATH, or through corepack. `lock` is the file that needs it.
    pub(super) fn find(kind: Kind, node: &Node, lock: &Path) -> Result<Self, EnvironmentError> {
        let beside = |name: &str| node.path.parent().map(|folder| folder.join(name)).filter(|path| path.is_file());
        let find = |name: &str| beside(name).or_else(|| which::which(name).ok());
        let own = find(kind.name()).map(|program| Self { kind, program, by_corepack: false });
        let lent = || find("corepack").filter(|_| kind != Kind::Npm);
        own.or_else(|| lent().map(|program| Self { kind, program, by_corepack: true })).ok_or_else(|| {
            EnvironmentError::PackageManagerMissing { name: kind.name(), lock: lock.to_owned(), install: kind.remedy() }
        })
    }

    /// Installs exactly the packages of `lock` in `folder`.
    pub(super) fn install(&self, folder: &Path, lock: &Path) -> Tool {
        let args: &[&str] = match self.kind {
            Kind::Npm => &["ci", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"],
            Kind::Pnpm => &["install", "--frozen-lockfile", "--reporter=append-only"],
            Kind::Yarn if is_classic(lock) => &["install", "--frozen-lockfile", "--non-interactive", "--no-progress"],
            Kind::Yarn => &["install", "--immutable"],
        };
        let mut tool = Tool::new(format!("Installing the packages of {}", folder.display()), &self.program, folder);
        if self.by_corepack {
            tool = tool.args([self.kind.name()]);
        }
        tool = tool.args(args);
        tool.env.extend([
            // No user can answer questions.
            ("CI", "1".into()),
            ("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0".into()),
            // The host finds packages only in `node_modules`.
            ("YARN_NODE_LINKER", "node-modules".into()),
        ]);
        tool
    }

    /// Installs the packages of the host program. None of them has an install script that must run.
    pub(super) fn install_host(&self, folder: &Path) -> Tool {
        let tool = Tool::new("Installing what runs TypeScript", &self.program, folder);
        tool.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"])
    }
}

/// Whether a `yarn.lock` belongs to yarn 1: the files of later versions begin with their metadata.
fn is_classic(lock: &Path) -> bool {
    std::fs::read_to_string(lock).is_ok_and(|text| !text.contains("__metadata:"))
}
