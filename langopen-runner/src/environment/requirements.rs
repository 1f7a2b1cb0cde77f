//! Finds the files that a `requirements.txt` includes. Only the installer interprets the rest.

use std::path::{Path, PathBuf};

use crate::config::paths::resolve;

/// `file`, the files that it includes with `-r` and `-c`, and the build files of the local projects that it names; each
/// once. The result includes files that do not exist yet, so that their creation is detected.
pub(super) fn closure(file: &Path, working_dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![file.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if !is_list(&path) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new("."));
        for line in text.lines().map(str::trim) {
            let new = match included(line) {
                Some(name) if !name.contains("://") => vec![resolve(folder, name)],
                _ => local_project(line, working_dir),
            };
            for path in new {
                if !found.contains(&path) {
                    found.push(path);
                }
            }
        }
    }
    found
}

fn is_list(path: &Path) -> bool {
    path.extension().is_none_or(|extension| extension != "toml" && extension != "py" && extension != "cfg")
}

fn included(line: &str) -> Option<&str> {
    let rest = ["--requirement", "--constraint", "-r", "-c"].iter().find_map(|option| line.strip_prefix(option))?;
    let name = rest.trim_start_matches([' ', '\t', '=']);
    Some(name.split(" #").next().unwrap_or(name).trim()).filter(|name| !name.is_empty())
}

// An installer resolves such a path from its working directory.
fn local_project(line: &str, working_dir: &Path) -> Vec<PathBuf> {
    let editable = ["--editable", "-e"].iter().find_map(|option| line.strip_prefix(option));
    let name = editable.unwrap_or(line).trim_start_matches([' ', '\t', '=']);
    let name = name.split([' ', '[', '#']).next().unwrap_or(name);
    if !name.starts_with(['.', '/']) && editable.is_none() || name.contains("://") || name.is_empty() {
        return Vec::new();
    }
    let folder = resolve(working_dir, name);
    BUILD_FILES.iter().map(|file| folder.join(file)).collect()
}

/// The files that determine what the installation of a local project installs.
pub(super) const BUILD_FILES: [&str; 3] = ["pyproject.toml", "setup.py", "setup.cfg"];
