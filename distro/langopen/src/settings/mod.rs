//! The settings of the programs, in four layers: the defaults, the operator's file, the environment, the command line.

mod check;
mod options;
mod sections;

use std::path::Path;

use config::{Config, File, FileFormat};

use crate::error::CommandError;

pub(crate) use options::{ApiServerOptions, CommonOptions, Overrides, RunnerOptions, WorkerOptions};
pub(crate) use sections::{ApiSettings, RequireApiKeys, RunnerSettings, RunnersSettings, Settings, WorkerSection};

/// The defaults. The file also documents the settings.
pub(crate) const DEFAULT: &str = include_str!("default.toml");

/// Merges the layers.
///
/// # Errors
/// If a file is missing or has invalid settings. The message names the key.
pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> Result<Settings, CommandError> {
    let wrong = |error: config::ConfigError| CommandError::Settings { why: error.to_string() };
    let mut builder = Config::builder().add_source(File::from_str(DEFAULT, FileFormat::Toml));
    if let Some(path) = file {
        let in_file = |why: String| CommandError::Settings { why: format!("{}: {why}", path.display()) };
        let text = std::fs::read_to_string(path).map_err(|error| in_file(error.to_string()))?;
        let source = File::from_str(&text, FileFormat::Toml);
        // The file is parsed alone first, so that an error names this file.
        Config::builder().add_source(source.clone()).build().map_err(|error| in_file(error.to_string()))?;
        builder = builder.add_source(source);
    }
    // These files hold secrets, so graph hosts must not read them.
    let secret_files = overrides.files().into_iter().chain(file.map(Path::to_owned)).collect();
    for (key, value) in overrides.into_values()? {
        builder = builder.set_override(key, value).map_err(wrong)?;
    }
    let mut settings: Settings = builder.build().and_then(Config::try_deserialize).map_err(wrong)?;
    settings.runner.secret_files = secret_files;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use langopen_runner::config::Secret;

    use super::*;

    #[test]
    fn layers_lie_over_one_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "[worker]\njobs = 3\nlease_seconds = 2.5\n[redis]\nurl = \"redis://a\"\n").unwrap();
        let mut overrides = Overrides::default();
        overrides.set("worker.jobs", Some(7));
        overrides.set("runner.token", Some("hush"));
        let settings = load(Some(&path), overrides).unwrap();
        assert_eq!((settings.worker.jobs, settings.worker.lease_seconds), (7, 2.5));
        assert_eq!(settings.redis.url.as_ref().map(Secret::expose), Some("redis://a"));
        assert!(settings.database.url.is_none());
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        let wrong = [
            ("[worker]\njobz = 3\n", "jobz"),
            ("[worker]\njobs = \"many\"\n", "worker.jobs"),
            ("[worker\n", "settings.toml"),
        ];
        for (text, says) in wrong {
            std::fs::write(&path, text).unwrap();
            let said = load(Some(&path), Overrides::default()).map(|_| ()).map_err(|error| error.to_string());
            assert!(said.as_ref().is_err_and(|said| said.contains(says)), "{text}: {said:?}");
        }
    }
}
