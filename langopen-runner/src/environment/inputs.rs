//! The inputs of an environment: the requirements for the installer, and the folders on Python's search path.

use std::path::{Path, PathBuf};

use super::Options;
use super::error::EnvironmentError;
use super::project::Project;
use super::requirements::{BUILD_FILES, closure};
use super::requires::Requires;
use crate::config::{AppConfig, Dependency, UvSource};

/// The inputs of an environment.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Local packages, as `path` or `path[extra,...]`.
    pub editable: Vec<String>,
    pub requirement_files: Vec<PathBuf>,
    pub packages: Vec<String>,
    pub constraints: Vec<String>,
    pub source: Option<UvSource>,
    pub search_path: Vec<PathBuf>,
    /// The `requires-python` of the application's projects.
    pub requires: Vec<Requires>,
    /// Files whose change requires a new environment. Some may not exist.
    pub watched: Vec<PathBuf>,
    /// The folder in which installers resolve the relative paths of a requirements file.
    pub working_dir: PathBuf,
}

impl Inputs {
    pub(super) fn collect(config: &AppConfig, options: &Options) -> Result<Self, EnvironmentError> {
        let mut inputs =
            Self { constraints: options.constraints.clone(), working_dir: config.base_dir().into(), ..Self::default() };
        // Folders of installed packages come last, so code that is used in place takes precedence.
        let mut installed = Vec::new();
        for dependency in &config.dependencies {
            match dependency {
                Dependency::Package(text) => inputs.packages.push(text.clone()),
                Dependency::Requirements(file) => inputs.add_requirements(file.clone()),
                Dependency::Local { path, extras, .. } => inputs.add_folder(path, extras, &mut installed)?,
            }
        }
        if let Some(source) = &config.packaging.source {
            inputs.add_source(source, config.base_dir())?;
        }
        for folder in installed {
            inputs.search(folder);
        }
        inputs.packages.extend(options.host_requirements.iter().cloned());
        if let Some(folder) = inputs.requirement_files.first().and_then(|file| file.parent()) {
            inputs.working_dir = folder.to_owned();
        }
        let files = inputs.requirement_files.iter();
        let lists: Vec<PathBuf> = files.flat_map(|file| closure(file, &inputs.working_dir)).collect();
        inputs.watched.extend(lists);
        inputs.watched.extend(config.packaging.pip_config_file.clone());
        Ok(inputs)
    }

    /// The number of requirements.
    pub(super) fn count(&self) -> usize {
        self.editable.len() + self.requirement_files.len() + self.packages.len() + usize::from(self.source.is_some())
    }

    fn add_folder(
        &mut self,
        path: &Path,
        extras: &[String],
        installed: &mut Vec<PathBuf>,
    ) -> Result<(), EnvironmentError> {
        self.requires.extend(Requires::read(&path.join("pyproject.toml")));
        match Project::of(path, extras)? {
            Project::Package => {
                let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
                self.editable.push(format!("{}{extras}", path.display()));
                // `langgraph dev` also puts these folders on the path, and applications rely on it.
                installed.push(path.to_owned());
            }
            Project::Virtual(dependencies) => {
                self.packages.extend(dependencies);
                self.search_code(path);
            }
            Project::Code => self.search_code(path),
        }
        let requirements = path.join("requirements.txt");
        if requirements.is_file() && !self.requirement_files.contains(&requirements) {
            self.requirement_files.push(requirements);
        }
        self.watched.extend(BUILD_FILES.iter().chain(&["requirements.txt", "uv.lock"]).map(|file| path.join(file)));
        Ok(())
    }

    fn add_requirements(&mut self, file: PathBuf) {
        if let Some(folder) = file.parent() {
            self.search_code(folder);
        }
        if !self.requirement_files.contains(&file) {
            self.requirement_files.push(file);
        }
    }

    fn add_source(&mut self, source: &UvSource, base_dir: &Path) -> Result<(), EnvironmentError> {
        let lock = source.root.join("uv.lock");
        if !lock.is_file() {
            return Err(EnvironmentError::LockFileMissing { path: lock, root: source.root.clone() });
        }
        self.watched.extend([lock, source.root.join("pyproject.toml"), base_dir.join("pyproject.toml")]);
        let projects = [source.root.join("pyproject.toml"), base_dir.join("pyproject.toml")];
        let mut requires: Vec<Requires> = projects.iter().filter_map(|file| Requires::read(file)).collect();
        requires.dedup();
        self.requires.extend(requires);
        self.source = Some(source.clone());
        self.search_code(base_dir);
        Ok(())
    }

    fn search_code(&mut self, folder: &Path) {
        // A folder with `__init__.py` is itself a package: `import folder` needs its parent on the path.
        if folder.join("__init__.py").is_file()
            && let Some(parent) = folder.parent()
        {
            self.search(parent.to_owned());
        }
        self.search(folder.to_owned());
        let src = folder.join("src");
        if src.is_dir() {
            self.search(src);
        }
    }

    fn search(&mut self, folder: PathBuf) {
        if !self.search_path.contains(&folder) {
            self.search_path.push(folder);
        }
    }
}
