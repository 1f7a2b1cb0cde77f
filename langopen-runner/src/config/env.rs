//! The key `env`: variables for the user's code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::describe;
use super::error::ConfigError;
use super::secret::Secret;
use super::section::Section;

/// Where the variables come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvSource {
    /// A file of `NAME=value` lines, absolute. It is read by [`super::AppConfig::resolve_env`], so it may be missing on
    /// machines that only build.
    File(PathBuf),
    /// The variables themselves.
    Variables(BTreeMap<String, Secret>),
}

impl Default for EnvSource {
    fn default() -> Self {
        Self::Variables(BTreeMap::new())
    }
}

pub(super) fn read(section: &Section<'_>) -> EnvSource {
    match section.get("env") {
        None => EnvSource::default(),
        Some(Value::String(path)) if path.trim().is_empty() => {
            section.context.report("env", "the path is empty", "Name a file such as \".env\", or remove the key.");
            EnvSource::default()
        }
        Some(Value::String(path)) => EnvSource::File(super::paths::resolve(section.context.base_dir, path.trim())),
        Some(Value::Object(map)) => {
            EnvSource::Variables(map.iter().filter_map(|(name, value)| variable(section, name, value)).collect())
        }
        Some(other) => {
            section.wrong("env", other, "the path of a file or an object of names and texts");
            EnvSource::default()
        }
    }
}

fn variable(section: &Section<'_>, name: &str, value: &Value) -> Option<(String, Secret)> {
    let key = format!("env.{name}");
    if name.is_empty() || name.contains(['=', '\0']) {
        let remedy = "A name is not empty and holds no equals sign.";
        section.context.report(key, "this is not a name of an environment variable", remedy);
        return None;
    }
    match value {
        Value::String(text) if !text.contains('\0') => Some((name.to_owned(), text.clone().into())),
        other => {
            let message = format!("found {}, expected a text", describe::kind(other));
            section.context.report(key, message, "Put the value in quotes.");
            None
        }
    }
}

impl EnvSource {
    pub(super) fn resolve(&self, config: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
        match self {
            Self::Variables(map) => {
                Ok(map.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect())
            }
            Self::File(path) => read_file(config, path),
        }
    }
}

fn read_file(config: &Path, path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => {
            ConfigError::EnvFileMissing { config: config.to_owned(), path: path.to_owned() }
        }
        _ => ConfigError::Unreadable { path: path.to_owned(), source },
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    dotenvy::from_read_iter(text.as_bytes())
        .map(|entry| {
            entry.map_err(|error| ConfigError::EnvFileSyntax { path: path.to_owned(), line: line_of(text, &error) })
        })
        .collect()
}

// The parser gives the line's text or its value alone, which may be a secret; we show the line's number.
fn line_of(text: &str, error: &dotenvy::Error) -> Option<usize> {
    let dotenvy::Error::LineParse(line, _) = error else { return None };
    let first = line.lines().next()?.trim();
    text.lines().position(|candidate| !first.is_empty() && candidate.trim().ends_with(first)).map(|index| index + 1)
}
