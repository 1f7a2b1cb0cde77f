//! The Python versions that the application's projects accept.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};
use toml::Table;

/// The interpreter requirement of a `pyproject.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requires {
    specifiers: VersionSpecifiers,
    /// The file with the requirement.
    pub file: PathBuf,
}

impl Requires {
    /// Reads `project.requires-python`, or else Poetry's `python`. If the file is unreadable or the text is not a range
    /// of versions, there is no requirement here: the installer reports the problem.
    pub(super) fn read(file: &Path) -> Option<Self> {
        let table: Table = std::fs::read_to_string(file).ok()?.parse().ok()?;
        let standard = table.get("project").and_then(|project| project.get("requires-python"));
        let poetry = || table.get("tool")?.get("poetry")?.get("dependencies")?.get("python");
        let specifiers = match standard {
            Some(text) => VersionSpecifiers::from_str(text.as_str()?).ok()?,
            None => poetry_range(poetry()?.as_str()?)?,
        };
        Some(Self { specifiers, file: file.to_owned() })
    }

    /// Whether the range includes a version such as `3.12.1`.
    pub(super) fn accepts(&self, version: &str) -> bool {
        Version::from_str(version).is_ok_and(|version| self.specifiers.contains(&version))
    }

    /// The range in the syntax of PEP 440.
    pub(super) fn range(&self) -> String {
        self.specifiers.to_string()
    }
}

/// Accepts `^3.11` and `~3.12` in addition to the operators of PEP 440, separated by commas.
fn poetry_range(text: &str) -> Option<VersionSpecifiers> {
    let parts: Option<Vec<String>> = text.split(',').map(|part| poetry_part(part.trim())).collect();
    VersionSpecifiers::from_str(&parts?.join(",")).ok()
}

fn poetry_part(part: &str) -> Option<String> {
    let bounded = |low: &str, count: usize| {
        let mut numbers: Vec<u64> = low.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        numbers.truncate(count);
        *numbers.last_mut()? += 1;
        let high: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        Some(format!(">={low},<{}", high.join(".")))
    };
    match part.strip_prefix('^') {
        Some(low) => bounded(low.trim(), 1),
        None => match part.strip_prefix('~').filter(|rest| !rest.starts_with('=')) {
            Some(low) => bounded(low.trim(), 2),
            None if part.starts_with(|c: char| c.is_ascii_digit()) => Some(format!("=={part}")),
            None => Some(part.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &str) -> Vec<&'static str> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pyproject.toml");
        std::fs::write(&file, text).expect("a file");
        let versions = ["3.11.2", "3.12.0", "3.12.4", "3.13.1", "4.0.0"];
        match Requires::read(&file) {
            Some(requires) => versions.into_iter().filter(|version| requires.accepts(version)).collect(),
            None => versions.to_vec(),
        }
    }

    #[test]
    fn ranges_of_both_kinds_are_read() {
        let standard = |range: &str| accepted(&format!("[project]\nrequires-python = \"{range}\"\n"));
        assert_eq!(standard(">=3.11,<3.13"), ["3.11.2", "3.12.0", "3.12.4"]);
        assert_eq!(standard("~=3.12"), ["3.12.0", "3.12.4", "3.13.1"]);
        assert_eq!(standard("==3.12.*"), ["3.12.0", "3.12.4"]);
        assert_eq!(standard("!=3.12.0, <4"), ["3.11.2", "3.12.4", "3.13.1"]);
        assert_eq!(standard("nonsense").len(), 5);
        let poetry = |range: &str| accepted(&format!("[tool.poetry.dependencies]\npython = \"{range}\"\n"));
        assert_eq!(poetry("^3.12"), ["3.12.0", "3.12.4", "3.13.1"]);
        assert_eq!(poetry("~3.12"), ["3.12.0", "3.12.4"]);
        assert_eq!(poetry("^3.11,<3.13"), ["3.11.2", "3.12.0", "3.12.4"]);
        assert_eq!(accepted("[tool.ruff]\n").len(), 5);
    }
}
