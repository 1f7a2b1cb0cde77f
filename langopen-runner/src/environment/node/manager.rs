//! Package managers, and how they install what a lock file says.

use std::path::{Path, PathBuf};

use super::interpreter::Node;
use crate::environment::command::Tool;
use crate::environment::error::EnvironmentError;

/// The package managers that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pnpm,
    Yarn,
    Npm,
}

/// A package manager that is there.
#[derive(Debug)]
pub(super) struct Manager {
    kind: Kind,
    program: PathBuf,
    /// Whether `program` is corepack, which brings the manager itself.
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
    /// The manager of `kind`: beside node, on PATH, or by corepack. `lock` is what needs it.
    pub(super) fn find(kind: Kind, node: &Node, lock: &Path) -> Result<Self, EnvironmentError> {
        let beside = |name: &str| node.path.parent().map(|folder| folder.join(name)).filter(|path| path.is_file());
        let find = |name: &str| beside(name).or_else(|| which::which(name).ok());
        let own = find(kind.name()).map(|program| Self { kind, program, by_corepack: false });
        let lent = || find("corepack").filter(|_| kind != Kind::Npm);
        own.or_else(|| lent().map(|program| Self { kind, program, by_corepack: true })).ok_or_else(|| {
            EnvironmentError::PackageManagerMissing { name: kind.name(), lock: lock.to_owned(), install: kind.remedy() }
        })
    }

    /// Installs what `lock` says, and nothing else, in `folder`.
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
            // Nobody is there to answer questions.
            ("CI", "1".into()),
            ("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0".into()),
            // Code is found in node_modules alone.
            ("YARN_NODE_LINKER", "node-modules".into()),
        ]);
        tool
    }

    /// Installs our own packages: none of them has a script that would have to run.
    pub(super) fn install_host(&self, folder: &Path) -> Tool {
        let tool = Tool::new("Installing what runs TypeScript", &self.program, folder);
        tool.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"])
    }
}

/// Whether a `yarn.lock` is of yarn 1: later ones begin with their metadata.
fn is_classic(lock: &Path) -> bool {
    std::fs::read_to_string(lock).is_ok_and(|text| !text.contains("__metadata:"))
}
