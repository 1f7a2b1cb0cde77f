//! The application of the platform, and the file in which its graph records its steps.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Result, io};

const GRAPH: &str = include_str!("../../app/steps.py");
const REQUIREMENTS: &str = include_str!("../../app/requirements.txt");
const CONFIG: &str = include_str!("../../app/langgraph.json");

/// The application of one trial.
#[derive(Debug)]
pub(crate) struct App {
    folder: PathBuf,
    pub(crate) steps: PathBuf,
}

impl App {
    pub(crate) fn write(folder: &Path) -> Result<Self> {
        let app = folder.join("app");
        std::fs::create_dir_all(&app).map_err(io("the application's folder"))?;
        let steps = folder.join("steps.txt");
        for (name, text) in [("steps.py", GRAPH), ("requirements.txt", REQUIREMENTS)] {
            std::fs::write(app.join(name), text).map_err(io(name))?;
        }
        std::fs::write(&steps, "").map_err(io("steps.txt"))?;
        Ok(Self { folder: app, steps })
    }

    /// The configuration for one process. The graph hosts receive the variables `env`.
    pub(crate) fn config(&self, process: &str, env: &[(&'static str, String)]) -> Result<PathBuf> {
        let mut config: Value = serde_json::from_str(CONFIG).unwrap_or_default();
        config["env"] = json!({"FAULTS_STEPS_FILE": self.steps});
        for (name, value) in env {
            config["env"][name] = Value::from(value.as_str());
        }
        let path = self.folder.join(format!("{process}.json"));
        std::fs::write(&path, config.to_string()).map_err(io("the application's configuration"))?;
        Ok(path)
    }
}
