mod fingerprint;
mod inputs;
mod messages;
mod node;
mod real;

use std::path::Path;

use super::{EnvironmentPlan, Options};
use crate::config::AppConfig;

/// Writes files below `folder`: pairs of path and content.
fn write(folder: &Path, files: &[(&str, &str)]) {
    for (file, content) in files {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }
}

/// An application with one graph; `more` completes its `langgraph.json`.
fn app(more: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(r#"{{"graphs": {{"agent": "./agent.py:graph"}}, {more}}}"#);
    write(folder.path(), &[("agent.py", ""), ("langgraph.json", &text)]);
    write(folder.path(), files);
    folder
}

fn config(folder: &Path) -> AppConfig {
    AppConfig::load(folder).unwrap_or_else(|error| panic!("{error}"))
}

/// A plan that uses pip, with environments below `cache`.
async fn plan(folder: &Path, cache: &Path) -> EnvironmentPlan {
    let options = Options { host_requirements: Vec::new(), ..Options::new(cache) };
    let plan = EnvironmentPlan::with_uv(&config(folder), options, None).await;
    plan.unwrap_or_else(|error| panic!("{error}"))
}
