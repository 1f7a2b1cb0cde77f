//! References to objects in the user's code: `./agent.py:graph`, `package.module:graph`, `./agent.ts:graph`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::section::Context;

const JAVASCRIPT: [&str; 7] = ["ts", "mts", "cts", "tsx", "js", "mjs", "cjs"];

/// What the first part of a target names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetKind {
    /// A `.py` file.
    PythonFile,
    /// The dotted name of a module on the search path or among the installed packages.
    PythonModule,
    /// A JavaScript or TypeScript file.
    JavaScript,
}

/// The language of the user's code. It determines the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
    /// JavaScript or TypeScript.
    JavaScript,
}

impl Language {
    /// The language of a target, which is written as in the configuration file.
    #[must_use]
    pub fn of(target: &str) -> Self {
        match split(target) {
            Some((file, _)) if is_javascript(file) => Self::JavaScript,
            _ => Self::Python,
        }
    }
}

/// A reference to an object in the user's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The file as written, relative to the configuration file's folder or absolute; or the dotted name of the module.
    pub path_or_module: String,
    /// The name of the object in the module.
    pub attribute: String,
    /// What `path_or_module` names.
    pub kind: TargetKind,
}

/// The object that is, or makes, a graph.
pub type GraphTarget = Target;

impl fmt::Display for Target {
    /// Writes the target as in the configuration file: `path_or_module:attribute`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path_or_module, self.attribute)
    }
}

impl Target {
    /// The file of the target; `None` for a module.
    #[must_use]
    pub fn file(&self, base_dir: &Path) -> Option<PathBuf> {
        (self.kind != TargetKind::PythonModule).then(|| super::paths::resolve(base_dir, &self.path_or_module))
    }

    /// Whether the object is in a JavaScript or TypeScript file.
    #[must_use]
    pub fn is_javascript(&self) -> bool {
        self.kind == TargetKind::JavaScript
    }

    pub(super) fn read(context: &Context<'_>, key: &str, text: &str) -> Option<Self> {
        let target = match Self::parse(text) {
            Ok(target) => target,
            Err((message, remedy)) => {
                context.report(key, message, remedy);
                return None;
            }
        };
        if let Some(file) = target.file(context.base_dir).filter(|file| !file.is_file()) {
            context.report(
                key,
                format!("found {text:?}, but the file {} does not exist", file.display()),
                "Correct the path; it starts at the folder of the configuration file.",
            );
            return None;
        }
        Some(target)
    }

    // The error holds the problem and the remedy.
    fn parse(text: &str) -> Result<Self, (String, String)> {
        let found = |what: &str| format!("found {text:?}, {what}");
        let Some((file, attribute)) = split(text) else {
            let example = if text.contains('/') || has_extension(text, &["py"]) || is_javascript(text) {
                format!("Write {text}:graph if the object is called graph.")
            } else {
                format!("Write {text}:graph for a module, or ./{text}.py:graph for a file.")
            };
            return Err((found("which does not say which object of the file to take"), example));
        };
        if attribute.is_empty() || !is_identifier(attribute) {
            let remedy = format!("Write the name of an object after the last colon, as in {file}:graph.");
            return Err((found("whose part after the last colon is not a name"), remedy));
        }
        let kind = if has_extension(file, &["py"]) {
            TargetKind::PythonFile
        } else if is_javascript(file) {
            TargetKind::JavaScript
        } else if !file.is_empty() && file.split('.').all(is_identifier) {
            TargetKind::PythonModule
        } else if file.contains(['/', '\\']) {
            let remedy = format!("Write the whole name of the file, as in {file}.py:{attribute}.");
            return Err((found("whose file is neither Python nor JavaScript"), remedy));
        } else {
            let remedy = "Write ./path/to/file.py:name or package.module:name.".to_owned();
            return Err((found("whose first part is neither a file nor a module"), remedy));
        };
        Ok(Self { path_or_module: file.to_owned(), attribute: attribute.to_owned(), kind })
    }
}

// A colon before a slash belongs to a drive letter.
fn split(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(':').filter(|(_, attribute)| !attribute.contains(['/', '\\']))
}

fn is_javascript(file: &str) -> bool {
    has_extension(file, &JAVASCRIPT)
}

fn has_extension(file: &str, extensions: &[&str]) -> bool {
    Path::new(file).extension().and_then(|found| found.to_str()).is_some_and(|found| extensions.contains(&found))
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_' || first == '$')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}
