use std::path::PathBuf;

use super::{app, config};
use crate::environment::inputs::Inputs;
use crate::environment::{EnvironmentError, HOST_REQUIREMENT, Options};

fn collect(more: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Inputs) {
    let folder = app(more, files);
    let inputs = Inputs::collect(&config(folder.path()), &Options::new("cache"));
    (folder, inputs.unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn code_alone_goes_on_the_search_path() {
    let (folder, inputs) = collect(r#""dependencies": ["."]"#, &[("src/pkg/graph.py", "")]);
    assert_eq!(inputs.search_path, [folder.path().to_owned(), folder.path().join("src")]);
    assert!(inputs.editable.is_empty());
    assert_eq!(inputs.packages, [HOST_REQUIREMENT]);
}

#[test]
fn a_package_without_build_files_brings_its_parent() {
    let (folder, inputs) = collect(r#""dependencies": ["./pkg"]"#, &[("pkg/__init__.py", "")]);
    assert_eq!(inputs.search_path, [folder.path().to_owned(), folder.path().join("pkg")]);
}

#[test]
fn projects_are_editable_and_their_requirements_count_too() {
    let (folder, inputs) = collect(
        r#""dependencies": ["./a[x,y]", "./b", "./code", "httpx"]"#,
        &[
            ("a/pyproject.toml", "[project]\nname = \"a\"\nversion = \"1\"\n"),
            ("a/requirements.txt", ""),
            ("b/setup.py", ""),
            ("code/m.py", ""),
        ],
    );
    let path = |name: &str| folder.path().join(name);
    assert_eq!(inputs.editable, [format!("{}[x,y]", path("a").display()), path("b").display().to_string()]);
    assert_eq!(inputs.requirement_files, [path("a/requirements.txt")]);
    assert_eq!(inputs.working_dir, path("a"));
    assert_eq!(inputs.search_path, [path("code"), path("a"), path("b")]);
    assert_eq!(inputs.packages, ["httpx", HOST_REQUIREMENT]);
}

#[test]
fn projects_that_are_no_packages() {
    let linter = collect(r#""dependencies": ["."]"#, &[("pyproject.toml", "[tool.ruff]\n")]).1;
    assert!(linter.editable.is_empty());
    let text = "[project]\nname = \"a\"\ndependencies = [\"x\"]\n[project.optional-dependencies]\ndev = [\"y\"]\n\
                [tool.uv]\npackage = false\n";
    let (folder, inputs) = collect(r#""dependencies": [".[dev]"]"#, &[("pyproject.toml", text)]);
    assert!(inputs.editable.is_empty());
    assert_eq!(inputs.packages, ["x", "y", HOST_REQUIREMENT]);
    assert_eq!(inputs.search_path, [folder.path()]);
}

#[test]
fn a_broken_pyproject_is_named() {
    let folder = app(r#""dependencies": ["."]"#, &[("pyproject.toml", "[project\n")]);
    let error = Inputs::collect(&config(folder.path()), &Options::new("cache")).expect_err("a broken file");
    let start = format!(
        "{}: this is not a valid pyproject.toml: TOML parse error at line 1",
        folder.path().join("pyproject.toml").display()
    );
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[test]
fn a_uv_source_needs_its_lock_file() {
    let folder = app(r#""source": {"kind": "uv", "root": "ws"}"#, &[("ws/pyproject.toml", "")]);
    let error = Inputs::collect(&config(folder.path()), &Options::new("cache")).expect_err("no lock file");
    assert!(matches!(&error, EnvironmentError::LockFileMissing { root, .. } if *root == folder.path().join("ws")));
    super::write(folder.path(), &[("ws/uv.lock", "")]);
    let inputs = Inputs::collect(&config(folder.path()), &Options::new("cache")).expect("inputs");
    assert_eq!(inputs.search_path, [PathBuf::from(folder.path())]);
    assert_eq!(inputs.count(), 2);
}
