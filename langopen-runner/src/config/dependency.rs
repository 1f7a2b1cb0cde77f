//! The key `dependencies`: folders and packages.

use std::path::PathBuf;

use super::section::{Context, Section};

/// One entry of `dependencies`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// A folder beside or below the configuration file, or at an absolute path.
    Local {
        /// As written.
        written: String,
        /// Absolute, and it exists.
        path: PathBuf,
        /// The extras in brackets: `dev` of `.[dev]`.
        extras: Vec<String>,
    },
    /// A PEP 508 requirement or a direct reference such as `git+https://...`.
    Package(String),
}

pub(super) fn read(section: &Section<'_>) -> Vec<Dependency> {
    let entries = section.texts("dependencies").unwrap_or_default();
    entries
        .iter()
        .enumerate()
        .filter_map(|(index, text)| classify(section.context, &format!("dependencies[{index}]"), text.trim()))
        .collect()
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
    let (folder, extras) = match text.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        Some((folder, extras)) => (folder, extras.split(',').map(|extra| extra.trim().to_owned()).collect()),
        None => (text, Vec::new()),
    };
    let path = super::paths::resolve(context.base_dir, folder);
    if !path.is_dir() {
        let what = if path.exists() { "is not a folder" } else { "does not exist" };
        context.report(
            key,
            format!("found {text:?}, but {} {what}", path.display()),
            "Name a folder; the path starts at the folder of the configuration file.",
        );
        return None;
    }
    Some(Dependency::Local { written: text.to_owned(), path, extras })
}
