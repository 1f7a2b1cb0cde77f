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
