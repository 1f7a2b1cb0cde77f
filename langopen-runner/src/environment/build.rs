//! Makes one environment, step by step.

use std::path::{Path, PathBuf};

use super::cache::Marker;
use super::command::Tool;
use super::error::EnvironmentError;
use super::progress::{Listener, Progress};
use super::{EnvironmentPlan, Installer};
use crate::host::Surroundings;

/// Makes the environment at `path`, which the caller has locked. First removes the old contents of `path`.
pub(super) async fn build(
    plan: &EnvironmentPlan,
    path: &Path,
    progress: Listener<'_>,
) -> Result<Marker, EnvironmentError> {
    if path.exists() {
        progress(Progress::Removing(path.to_owned()));
        tokio::fs::remove_dir_all(path).await.map_err(EnvironmentError::io(path, "cannot be removed"))?;
    }
    progress(Progress::Creating {
        python: format!("Python {} ({})", plan.python.version, plan.python.path.display()),
        installer: plan.installer.name(),
        path: path.to_owned(),
    });
    plan.installer.create(&plan.python, path, &plan.cache_dir).run(&plan.surroundings, progress).await?;
    let python = python_of(path);
    install(plan, path, &python, progress).await?;
    let marker = Marker { site: site_of(&python, path, &plan.surroundings).await?, python };
    marker.write(path)?;
    Ok(marker)
}

async fn install(
    plan: &EnvironmentPlan,
    path: &Path,
    python: &Path,
    progress: Listener<'_>,
) -> Result<(), EnvironmentError> {
    let inputs = &plan.inputs;
    if inputs.count() == 0 {
        return Ok(());
    }
    let mut lists = Vec::new();
    let mut folder = None;
    if let Some(source) = &inputs.source {
        lists.push(export(plan, path, progress).await?);
        // The list names the members of the workspace by paths relative to the root.
        folder = Some(source.root.clone());
    }
    let constraints = match inputs.constraints.as_slice() {
        [] => None,
        lines => {
            let file = path.join("constraints.txt");
            let text = lines.join("\n") + "\n";
            tokio::fs::write(&file, text).await.map_err(EnvironmentError::io(&file, "cannot be written"))?;
            Some(file)
        }
    };
    let mut tool = plan.installer.install(python, inputs, &lists, constraints.as_deref());
    tool.folder = folder.unwrap_or(tool.folder);
    if let Some(file) = &plan.pip_config_file {
        tool.env.push(("PIP_CONFIG_FILE", file.into()));
        if plan.installer != Installer::Pip {
            let note = "uv does not read `pip_config_file`; give its settings as UV_* variables, or set \
                        `pip_installer` to \"pip\"";
            progress(Progress::Note(note.to_owned()));
        }
    }
    progress(Progress::Installing { count: inputs.count() });
    tool.run(&plan.surroundings, progress).await.map(drop)
}

async fn export(plan: &EnvironmentPlan, path: &Path, progress: Listener<'_>) -> Result<PathBuf, EnvironmentError> {
    let (Some(source), Some(uv)) = (&plan.inputs.source, &plan.uv) else {
        return Err(EnvironmentError::UvMissing { key: "`source`".into() });
    };
    progress(Progress::ReadingLockFile(source.root.join("uv.lock")));
    let file = path.join("uv-export.txt");
    let package = source.package.iter().flat_map(|name| ["--package".to_owned(), name.clone()]);
    // Without hashes: if one requirement has a hash, an installer requires a hash for every requirement of the call.
    Tool::new("Reading uv.lock", uv, &source.root)
        .args(["export", "--frozen", "--no-dev", "--no-hashes", "--no-header", "--no-annotate", "--quiet"])
        .args(["--color", "never", "--no-progress", "--python"])
        .args([&plan.python.path])
        .args(package)
        .args([std::ffi::OsStr::new("--output-file"), file.as_os_str()])
        .run(&plan.surroundings, progress)
        .await?;
    Ok(file)
}

async fn site_of(python: &Path, folder: &Path, surroundings: &Surroundings) -> Result<PathBuf, EnvironmentError> {
    let code = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
    let tool = Tool::new("Asking the new environment for its folders", python, folder).args(["-I", "-c", code]);
    let printed = tool.run(surroundings, &|_| {}).await?;
    Ok(PathBuf::from(printed.lines().last().unwrap_or_default().trim()))
}

fn python_of(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}
