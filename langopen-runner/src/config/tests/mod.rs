mod dotenv;
mod env;
mod errors;
mod supported;
mod verdicts;
mod webhooks;
mod whole;

use std::path::Path;

use super::{AppConfig, ConfigError};

/// A folder with an application: `agent.py`, `web/agent.ts` and `langgraph.json` with the given text.
fn app(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["agent.py", "web/agent.ts", "src/pkg/graph.py"] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, "").expect("a file");
    }
    std::fs::write(folder.path().join("langgraph.json"), text).expect("a file");
    folder
}

fn load(folder: &Path) -> Result<AppConfig, ConfigError> {
    AppConfig::load(&folder.join("langgraph.json"))
}

/// `{"dependencies": ["."], "graphs": {"agent": "./agent.py:graph"}, <more>}`
fn with(more: &str) -> String {
    format!(r#"{{"dependencies": ["."], "graphs": {{"agent": "./agent.py:graph"}}, {more}}}"#)
}

/// The error message, with the folder's name replaced by `APP`.
fn message(text: &str) -> String {
    let folder = app(text);
    let error = load(folder.path()).expect_err(text);
    error.to_string().replace(&folder.path().display().to_string(), "APP")
}
