//! Makes real environments, with pip and without the network.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{app, plan, write};
use crate::environment::{EnvironmentError, Progress, ToolFailure};

// A minimal build backend: the test needs no package index.
const BACKEND: &str = r#"
import zipfile, pathlib

def _wheel(folder):
    name = "greet-1.0-py3-none-any.whl"
    info = "greet-1.0.dist-info/"
    files = {
        "greet.pth": str(pathlib.Path.cwd() / "src"),
        info + "METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
        info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files) + f"{info}RECORD,,\n"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        for file, content in {**files, info + "RECORD": record}.items():
            wheel.writestr(file, content)
    return name

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder)

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder)
"#;
const PYPROJECT: &str = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n\
                         [project]\nname = \"greet\"\nversion = \"1.0\"\n";
const OFFLINE: &str = "[global]\nno-index = true\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_is_made_once_and_code_stays_live() {
    let folder = app(
        r#""dependencies": ["./greet"], "pip_config_file": "pip.conf""#,
        &[
            ("pip.conf", OFFLINE),
            ("greet/pyproject.toml", PYPROJECT),
            ("greet/backend.py", BACKEND),
            ("greet/src/greet/__init__.py", "word = 'hello'"),
        ],
    );
    let cache = folder.path().join("cache");
    let plan = plan(folder.path(), &cache).await;

    // An incomplete environment occupies the path.
    write(&plan.path(), &[("bin/python", "broken")]);
    let steps = Mutex::new(Vec::new());
    let listen = |step: Progress| steps.lock().expect("no panic").push(step);
    let (first, second) = tokio::join!(plan.ensure(listen), plan.ensure(listen));
    let first = first.unwrap_or_else(|error| panic!("{error}"));
    let second = second.unwrap_or_else(|error| panic!("{error}"));
    assert!(first.fresh != second.fresh, "both or neither made it");
    let steps = steps.into_inner().expect("no panic");
    for expected in [Progress::Waiting, Progress::Removing(plan.path()), Progress::Installing { count: 1 }] {
        assert_eq!(steps.iter().filter(|step| **step == expected).count(), 1, "{expected:?} in {steps:?}");
    }
    assert!(first.site.starts_with(plan.path()), "{}", first.site.display());
    assert_eq!(first.search_path, [folder.path().join("greet")]);
    assert_eq!(output(&first.python), "hello");
    write(folder.path(), &[("greet/src/greet/__init__.py", "word = 'changed'")]);
    assert_eq!(output(&first.python), "changed");

    // Take the best of several times, because the machine may be busy with other tests.
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let again = super::plan(folder.path(), &cache).await.ensure(|step| panic!("{step}")).await;
        assert!(again.is_ok_and(|again| !again.fresh));
        best = best.min(start.elapsed());
    }
    assert!(best < Duration::from_millis(50), "reuse takes {best:?}");

    failures_tell_everything(folder.path(), &cache).await;
}

async fn failures_tell_everything(folder: &Path, cache: &Path) {
    let text = r#"{"graphs": {"a": "./agent.py:graph"}, "dependencies": [".", "no-such-thing-langopen"],
                   "pip_config_file": "pip.conf"}"#;
    write(folder, &[("langgraph.json", text)]);
    let plan = plan(folder, cache).await;
    let error = plan.ensure(|_| {}).await.expect_err("no such package");
    let EnvironmentError::Tool(failure) = &error else { panic!("{error}") };
    let ToolFailure { remedy, command, output, .. } = &**failure;
    assert!(remedy.contains("`no-such-thing-langopen`"), "{remedy}");
    assert!(command.contains(" -m pip install "), "{command}");
    assert!(output.contains("No matching distribution"), "{output}");
    assert!(!plan.path().join("complete.json").exists());
}

fn output(python: &Path) -> String {
    let code = "import greet; print(greet.word)";
    let output = std::process::Command::new(python).args(["-B", "-c", code]).output().expect("Python");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[cfg(unix)]
#[tokio::test]
async fn a_dropped_call_ends_what_it_started() {
    use crate::environment::command::Tool;
    let folder = tempfile::tempdir().expect("a folder");
    let tool = Tool::new("Sleeping", "/bin/sh", folder.path()).args(["-c", "sleep 1; touch late & wait"]);
    let cut =
        tokio::time::timeout(Duration::from_millis(300), tool.run(&crate::host::Surroundings::default(), &|_| {}))
            .await;
    assert!(cut.is_err());
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!folder.path().join("late").exists(), "it went on");
}

#[test]
fn futures_can_move_between_threads() {
    fn check<T: Send>(_: &T) {}
    fn of(plan: &crate::environment::EnvironmentPlan) {
        check(&plan.ensure(|_| {}));
    }
    let _ = of;
}
