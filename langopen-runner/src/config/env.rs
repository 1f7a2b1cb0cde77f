//! The key `env`: variables for the user's code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::{ConfigError, Problem};
use super::secret::Secret;
use super::section::Section;
use super::{describe, dotenv};

/// The source of the variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvSource {
    /// The absolute path of a file of `NAME=value` lines. [`super::AppConfig::resolve_env`] reads it, so a machine that
    /// only builds the application does not need it.
    File(PathBuf),
    /// The variables themselves.
    Variables(BTreeMap<String, Secret>),
    /// A list, as in Docker Compose. `NAME=value` is a variable. A name alone means the server's own variable of that
    /// name; the application inherits it in any case.
    List(Vec<(String, Option<Secret>)>),
}

impl Default for EnvSource {
    fn default() -> Self {
        Self::Variables(BTreeMap::new())
    }
}

/// The variables of an application, and warnings for its author.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedEnv {
    /// Values by name.
    pub variables: BTreeMap<String, String>,
    /// The entries that were left out, with the reason. No message contains a value.
    pub warnings: Vec<Problem>,
}

impl ResolvedEnv {
    fn warn(&mut self, message: impl Into<String>, remedy: impl Into<String>) {
        self.warnings.push(Problem { key: "env".to_owned(), message: message.into(), remedy: remedy.into() });
    }
}

pub(super) fn read(section: &Section<'_>) -> EnvSource {
    match section.get("env") {
        None => EnvSource::default(),
        Some(Value::String(path)) if path.trim().is_empty() => EnvSource::default(),
        Some(Value::String(path)) => EnvSource::File(super::paths::resolve(section.context.base_dir, path.trim())),
        Some(Value::Object(map)) => {
            EnvSource::Variables(map.iter().filter_map(|(name, value)| variable(section, name, value)).collect())
        }
        Some(Value::Array(items)) => {
            EnvSource::List(items.iter().enumerate().filter_map(|(index, item)| entry(section, index, item)).collect())
        }
        Some(other) => {
            section.wrong("env", other, "the path of a file, or an object of names and texts");
            EnvSource::default()
        }
    }
}

fn variable(section: &Section<'_>, name: &str, value: &Value) -> Option<(String, Secret)> {
    let key = format!("env.{name}");
    if !is_name(name) {
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

// The entry may contain a secret, so no message shows it.
fn entry(section: &Section<'_>, index: usize, item: &Value) -> Option<(String, Option<Secret>)> {
    let text = item.as_str().map(|text| match text.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value)),
        None => (text.trim(), None),
    });
    match text {
        Some((name, value)) if is_name(name) && !value.is_some_and(|value| value.contains('\0')) => {
            Some((name.to_owned(), value.map(|value| value.to_owned().into())))
        }
        _ => {
            let message = "expected the name of a variable";
            section.context.report(format!("env[{index}]"), message, "Write \"NAME\" or \"NAME=value\".");
            None
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

impl EnvSource {
    /// Reads the variables. `variable` looks up the variables that the application inherits.
    pub(super) fn resolve(&self, variable: impl Fn(&str) -> Option<String>) -> Result<ResolvedEnv, ConfigError> {
        let mut resolved = ResolvedEnv::default();
        match self {
            Self::Variables(map) => {
                resolved.variables =
                    map.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
            }
            Self::List(entries) => {
                for (name, value) in entries {
                    match value {
                        Some(value) => {
                            resolved.variables.insert(name.clone(), value.expose().to_owned());
                        }
                        None if variable(name).is_none() => {
                            let message = format!("the server has no variable {name} that it passes on");
                            resolved
                                .warn(message, "Set it where the server starts, or give \"env\" the path of a file.");
                        }
                        None => {}
                    }
                }
            }
            Self::File(path) => read_file(path, variable, &mut resolved)?,
        }
        Ok(resolved)
    }
}

fn read_file(
    path: &Path,
    variable: impl Fn(&str) -> Option<String>,
    resolved: &mut ResolvedEnv,
) -> Result<(), ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("the file {} does not exist, so the application starts without it", path.display());
            resolved.warn(message, "Create it, or remove the key.");
            return Ok(());
        }
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    let parsed = dotenv::parse(&text);
    for line in parsed.unreadable {
        let message = format!("{}:{line}: this line cannot be read and is skipped", path.display());
        resolved.warn(message, "Write NAME=value, and close every quote.");
    }
    for (name, value) in dotenv::resolve(parsed.bindings, variable) {
        match value {
            Some(value) if is_name(&name) && !value.contains('\0') => {
                resolved.variables.insert(name, value);
            }
            // A name without `=` sets nothing.
            None => {}
            Some(_) => {
                let message = format!("{}: {name:?} cannot be a variable of a process", path.display());
                resolved.warn(message, "Remove equals signs from its name and NUL characters from its value.");
            }
        }
    }
    Ok(())
}
