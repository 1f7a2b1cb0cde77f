//! The key `dependencies`: folders and packages.

use std::path::PathBuf;

use super::section::{Context, Section};

/// One entry of `dependencies`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// A folder, relative to the configuration file or at an absolute path. A `pyproject.toml` stands for its folder.
    Local {
        /// As written.
        written: String,
        /// The absolute path. It exists.
        path: PathBuf,
        /// The extras in brackets: `dev` of `.[dev]`.
        extras: Vec<String>,
    },
    /// The absolute path of a list of requirements: `./requirements.txt`.
    Requirements(PathBuf),
    /// A PEP 508 requirement, the path of a package's file, or a direct reference such as `git+https://...`.
    Package(String),
}

pub(super) fn read(section: &Section<'_>) -> Vec<Dependency> {
    let entries = section.texts("dependencies").unwrap_or_default();
    let mut found: Vec<Dependency> = Vec::new();
    for (index, text) in entries.iter().enumerate() {
        let Some(new) = classify(section.context, &format!("dependencies[{index}]"), text.trim()) else { continue };
        // `[".", "./pyproject.toml"]` names one folder twice.
        if !found.iter().any(|old| old.is_same_folder(&new)) {
            found.push(new);
        }
    }
    found
}

fn classify(context: &Context<'_>, key: &str, text: &str) -> Option<Dependency> {
    if text.starts_with(['.', '/', '\\']) || (cfg!(windows) && text.get(1..2) == Some(":")) {
        return local(context, key, text);
    }
    if text.starts_with('-') {
        let remedy = "Put options into a requirements.txt of a local dependency or into `pip_config_file`.";
        context.report(key, format!("found {text:?}, which is an option, not a package"), remedy);
        return None;
    }
    if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) || text.contains(['\n', '\r', '\0']) {
        let remedy = "Write a requirement such as \"httpx>=0.27\", or a path that starts with \"./\".";
        context.report(key, format!("found {text:?}, which is neither a package nor a path"), remedy);
        return None;
    }
    Some(Dependency::Package(text.to_owned()))
}

fn local(context: &Context<'_>, key: &str, text: &str) -> Option<Dependency> {
    let (written, extras) = match text.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        Some((folder, extras)) => (folder, extras.split(',').map(|extra| extra.trim().to_owned()).collect()),
        None => (text, Vec::new()),
    };
    let path = super::paths::resolve(context.base_dir, written);
    if path.is_file() {
        return file(context, key, text, path, extras);
    }
    if !path.is_dir() {
        let what = if path.exists() { "is neither a folder nor a file" } else { "does not exist" };
        context.report(
            key,
            format!("found {text:?}, but {} {what}", path.display()),
            "Name a folder; the path starts at the folder of the configuration file.",
        );
        return None;
    }
    Some(Dependency::Local { written: text.to_owned(), path, extras })
}

/// A file that stands for its folder, a list of requirements, or a package.
fn file(context: &Context<'_>, key: &str, text: &str, path: PathBuf, extras: Vec<String>) -> Option<Dependency> {
    const BUILD_FILES: [&str; 3] = ["pyproject.toml", "setup.py", "setup.cfg"];
    const PACKAGES: [&str; 4] = [".whl", ".tar.gz", ".tgz", ".zip"];
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if BUILD_FILES.contains(&name) {
        let folder = path.parent().unwrap_or(context.base_dir).to_owned();
        return Some(Dependency::Local { written: text.to_owned(), path: folder, extras });
    }
    if name.ends_with(".txt") || name.ends_with(".in") {
        return Some(Dependency::Requirements(path));
    }
    if PACKAGES.iter().any(|ending| name.ends_with(ending)) {
        let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        return Some(Dependency::Package(format!("{}{extras}", path.display())));
    }
    let message = format!("found {text:?}, a file that nothing can be installed from");
    context.warn(key, message, "Name the folder of the project, \".\" for the configuration file's own.");
    None
}

impl Dependency {
    fn is_same_folder(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Local { path, extras, .. }, Self::Local { path: at, extras: with, .. }) => {
                path == at && extras == with
            }
            _ => false,
        }
    }
}
