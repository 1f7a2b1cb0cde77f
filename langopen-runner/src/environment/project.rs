//! Determines, as an installer does, whether a folder is a package, a list of dependencies, or only code.

use std::path::Path;

use toml::{Table, Value};

use super::error::EnvironmentError;

/// The kind of a folder, for an installer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Project {
    /// Only code.
    Code,
    /// A package that can be built.
    Package,
    /// A project that declares itself not to be a package. Its dependencies are installed; its code is used in place.
    Virtual(Vec<String>),
}

impl Project {
    pub(super) fn of(folder: &Path, extras: &[String]) -> Result<Self, EnvironmentError> {
        let path = folder.join("pyproject.toml");
        let setup = folder.join("setup.py").is_file();
        if !path.is_file() {
            return Ok(if setup { Self::Package } else { Self::Code });
        }
        let text = std::fs::read_to_string(&path).map_err(EnvironmentError::io(&path, "cannot be read"))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| EnvironmentError::Project {
            path: path.clone(),
            message: error.to_string(),
        })?;
        let tool = |name: &str, key: &str| table.get("tool")?.get(name)?.get(key)?.as_bool();
        let project = table.get("project");
        if tool("uv", "package") == Some(false) || (tool("poetry", "package-mode") == Some(false) && project.is_some())
        {
            return Ok(Self::Virtual(project.map(|project| dependencies(project, extras)).unwrap_or_default()));
        }
        // A file that only configures a linter does not make the folder a package.
        let poetry = table.get("tool").and_then(|tool| tool.get("poetry")).is_some();
        let package = setup || poetry || project.is_some() || table.contains_key("build-system");
        Ok(if package { Self::Package } else { Self::Code })
    }
}

fn dependencies(project: &Value, extras: &[String]) -> Vec<String> {
    let optional = project.get("optional-dependencies");
    let lists = std::iter::once(project.get("dependencies"))
        .chain(extras.iter().map(|extra| optional.and_then(|optional| optional.get(extra))));
    lists.flatten().filter_map(Value::as_array).flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
