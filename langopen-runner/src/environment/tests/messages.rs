use std::path::PathBuf;

use super::{app, config};
use crate::config::PipInstaller;
use crate::environment::diagnose::remedy;
use crate::environment::redact::redact;
use crate::environment::{EnvironmentPlan, Options};

#[test]
fn credentials_are_hidden() {
    let cases = [
        ("pip install git+https://me:tok@en@host/x.git", "pip install git+https://***@host/x.git"),
        ("https://a.b/c@d and http://u@h", "https://a.b/c@d and http://***@h"),
        ("no address, me@home", "no address, me@home"),
        ("x://", "x://"),
    ];
    for (text, expected) in cases {
        assert_eq!(redact(text), expected);
    }
}

#[test]
fn outputs_are_understood() {
    let cases = [
        ("ERROR: No matching distribution found for lamgraph>=1 (from agent)\n", "for `lamgraph>=1`"),
        (
            "  x No solution found when resolving:\n  Because lamgraph was not\n  found in the package registry",
            "for `lamgraph`",
        ),
        ("error: Multiple top-level packages discovered in a flat-layout: ['a', 'b'].", "[tool.setuptools]"),
        ("ERROR: ResolutionImpossible: for help visit", "contradict"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("Temporary failure in name resolution", "cannot be reached"),
        ("something new", "Read the output below"),
    ];
    for (output, expected) in cases {
        assert!(remedy(output).contains(expected), "{output}: {}", remedy(output));
    }
}

async fn error(more: &str, change: impl FnOnce(&mut Options)) -> String {
    let folder = app(more, &[]);
    let mut options = Options::new(folder.path().join("cache"));
    change(&mut options);
    let plan = EnvironmentPlan::with_uv(&config(folder.path()), options, None).await;
    plan.expect_err("no plan").to_string()
}

#[tokio::test]
async fn uv_is_missing() {
    let expected = |key: &str| {
        format!("{key} asks for uv, but uv is not on PATH. Install it (https://docs.astral.sh/uv/), or change {key}.")
    };
    let text = error(r#""dependencies": ["."], "pip_installer": "uv""#, |_| {}).await;
    assert_eq!(text, expected("`pip_installer`"));
    let text = error(r#""dependencies": ["."]"#, |options| options.installer = Some(PipInstaller::Uv)).await;
    assert_eq!(text, expected("the installer option"));
}

#[tokio::test]
async fn python_is_missing() {
    let named = |options: &mut Options| options.python = Some(PathBuf::from("/none/python3"));
    assert_eq!(
        error(r#""dependencies": ["."], "python_version": "3.12""#, named).await,
        "Python 3.12 was not found. Tried:\n  - /none/python3: cannot be run (No such file or directory (os error 2))\n\
         Install it (for instance `uv python install 3.12`), name an interpreter with --python, or change \
         `python_version` in langgraph.json."
    );
    let text = error(r#""dependencies": ["."], "python_version": "3.99""#, |_| {}).await;
    assert!(text.starts_with("Python 3.99 was not found. Tried:\n  - "), "{text}");
    assert!(text.contains(": is Python 3."), "{text}");
}

#[tokio::test]
async fn an_interpreter_must_satisfy_requires_python() {
    let project = |range: &str| {
        let text = format!("[project]\nname = \"a\"\nversion = \"1\"\nrequires-python = \"{range}\"\n");
        app(r#""dependencies": ["."]"#, &[("pyproject.toml", &text)])
    };
    let folder = project("<3.11.1,>=3.11");
    let options = Options::new(folder.path().join("cache"));
    let error = EnvironmentPlan::with_uv(&config(folder.path()), options, None).await.expect_err("no plan").to_string();
    let file = folder.path().join("pyproject.toml");
    let start = format!(
        "Python 3.11 or newer, with >=3.11, <3.11.1 as {} requires, was not found. Tried:\n  - ",
        file.display()
    );
    assert!(error.starts_with(&start), "{error}");
    assert!(error.contains(&format!(", but {} requires >=3.11, <3.11.1\n", file.display())), "{error}");
    let folder = project(">=3.11");
    let options = Options::new(folder.path().join("cache"));
    EnvironmentPlan::with_uv(&config(folder.path()), options, None).await.unwrap_or_else(|error| panic!("{error}"));
}

/// Two interpreters on the search path; only the second satisfies both the project and the configuration.
#[cfg(unix)]
#[tokio::test]
async fn requires_python_chooses_among_the_interpreters_that_are_there() {
    use std::os::unix::fs::PermissionsExt;

    use crate::environment::inputs::Inputs;
    use crate::environment::python::{Wanted, choose};

    let text = "[project]\nname = \"a\"\nversion = \"1\"\nrequires-python = \">=3.12,<3.14\"\n";
    let folder = app(r#""dependencies": ["."]"#, &[("pyproject.toml", text)]);
    let candidates: Vec<PathBuf> = ["3.11.9", "3.14.0", "3.13.2", "3.12.7"]
        .iter()
        .map(|version| {
            let path = folder.path().join(format!("python-{version}"));
            std::fs::write(&path, format!("#!/bin/sh\nprintf '{version}\\n%s\\nTrue\\n' \"$0\"\n")).expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
            path
        })
        .collect();
    let inputs = Inputs::collect(&config(folder.path()), &Options::new("cache")).expect("inputs");
    let inherited = crate::Inherited::default();
    let wanted = Wanted {
        version: None,
        requires: &inputs.requires,
        explicit: None,
        uv: None,
        needs_venv: true,
        inherited: &inherited,
    };
    let found = choose(&candidates, &wanted).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.version, "3.13.2");
    let older = Wanted { version: Some(crate::config::PythonVersion { major: 3, minor: 12 }), ..wanted };
    assert_eq!(choose(&candidates, &older).await.unwrap_or_else(|error| panic!("{error}")).version, "3.12.7");
}
