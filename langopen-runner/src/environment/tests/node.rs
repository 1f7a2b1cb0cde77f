//! JavaScript environments: plans, and errors for missing files and tools.

use std::path::{Path, PathBuf};

use super::{config, write};
use crate::environment::{EnvironmentError, NodePlan, Options};

const LOCK: (&str, &str) = ("package-lock.json", "{}");
const PACKAGE: (&str, &str) = ("package.json", "{}");

/// An application with one graph in TypeScript; `more` completes its `langgraph.json`.
fn app(more: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(r#"{{"graphs": {{"agent": "./agent.ts:graph"}}{more}}}"#);
    write(folder.path(), &[("app/agent.ts", ""), ("app/langgraph.json", &text)]);
    write(folder.path(), files);
    folder
}

async fn plan(folder: &Path) -> Result<NodePlan, EnvironmentError> {
    NodePlan::new(&config(&folder.join("app")), &Options::new(folder.join("cache"))).await
}

#[cfg(unix)]
fn fake_node(folder: &Path, version: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("fake-node");
    std::fs::write(&path, format!("#!/bin/sh\necho v{version}\n")).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    path
}

#[tokio::test]
async fn the_lock_file_says_which_packages() {
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("app/package.json", "{}"), ("app/package-lock.json", "{}")], "app/package-lock.json"),
        (&[("app/package.json", "{}"), ("app/npm-shrinkwrap.json", "{}")], "app/npm-shrinkwrap.json"),
        (&[("app/package.json", "{}"), ("app/yarn.lock", "")], "app/yarn.lock"),
        (
            &[("app/package.json", "{}"), ("app/pnpm-lock.yaml", ""), ("app/package-lock.json", "{}")],
            "app/pnpm-lock.yaml",
        ),
        // `packageManager` decides between two lock files.
        (
            &[
                ("app/package.json", r#"{"packageManager": "npm@10.1.0"}"#),
                ("app/pnpm-lock.yaml", ""),
                ("app/package-lock.json", "{}"),
            ],
            "app/package-lock.json",
        ),
        // The application is a member of a workspace.
        (&[("app/package.json", "{}"), PACKAGE, ("pnpm-lock.yaml", "")], "pnpm-lock.yaml"),
    ];
    for (files, expected) in cases {
        let folder = app("", files);
        let plan = plan(folder.path()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plan.lock_file(), Some(folder.path().join(expected).as_path()), "{files:?}");
    }
}

#[tokio::test]
async fn the_fingerprint_follows_the_packages() {
    let folder = app("", &[PACKAGE, LOCK]);
    let hash = async || plan(folder.path()).await.unwrap_or_else(|error| panic!("{error}")).hash().to_owned();
    let before = hash().await;
    write(folder.path(), &[("app/agent.ts", "export const graph = 1;")]);
    assert_eq!(hash().await, before, "code is not what packages are made of");
    for file in ["package-lock.json", "package.json", ".npmrc"] {
        let was = hash().await;
        write(folder.path(), &[(file, r#"{"changed": true}"#)]);
        assert_ne!(hash().await, was, "{file}");
    }
}

#[tokio::test]
async fn errors_name_what_is_missing() {
    let folder = app("", &[]);
    let error = plan(folder.path()).await.expect_err("no package.json").to_string();
    assert!(error.starts_with(&format!("{} and the folders above", folder.path().join("app").display())), "{error}");
    assert!(error.contains("npm init") && error.contains("@langchain/langgraph"), "{error}");

    write(folder.path(), &[PACKAGE]);
    let error = plan(folder.path()).await.expect_err("no lock file").to_string();
    assert!(
        error.starts_with(&format!("{}: there is no lock file", folder.path().join("package.json").display())),
        "{error}"
    );
    assert!(error.contains("npm install"), "{error}");
}

#[tokio::test]
async fn node_is_absent() {
    let folder = app(r#", "node_version": "22""#, &[PACKAGE, LOCK]);
    let options = Options { node: Some("/none/node".into()), ..Options::new(folder.path().join("cache")) };
    let error = NodePlan::new(&config(&folder.path().join("app")), &options).await.expect_err("no node");
    assert_eq!(
        error.to_string(),
        "Node.js 22 or newer was not found, which JavaScript and TypeScript graphs need. Tried:\n  - /none/node: cannot be run \
         (No such file or directory (os error 2))\nInstall it (https://nodejs.org)."
    );
}

#[cfg(unix)]
#[tokio::test]
async fn node_is_too_old() {
    for (more, version, fits) in
        [("", "18.20.4", false), ("", "20.9.0", false), ("", "20.11.1", true), ("", "24.0.0", true)]
            .into_iter()
            .chain([(r#", "node_version": "22""#, "20.19.0", false), (r#", "node_version": "22""#, "22.0.0", true)])
    {
        let folder = app(more, &[PACKAGE, LOCK]);
        let node = fake_node(folder.path(), version);
        let options = Options { node: Some(node), ..Options::new(folder.path().join("cache")) };
        let plan = NodePlan::new(&config(&folder.path().join("app")), &options).await;
        match plan {
            Ok(plan) => assert!(fits && plan.interpreter().1 == version, "{version}{more}"),
            Err(error) => assert!(!fits && error.to_string().contains(&format!("is Node.js {version}")), "{error}"),
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_error_has_the_output_of_a_package_manager_that_fails() {
    use std::os::unix::fs::PermissionsExt;
    let folder = app("", &[PACKAGE, LOCK]);
    // The search for npm starts beside node.
    let npm = folder.path().join("npm");
    let script = "#!/bin/sh\necho 'npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync' >&2\nexit 1\n";
    std::fs::write(&npm, script).expect("a file");
    std::fs::set_permissions(&npm, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let options =
        Options { node: Some(fake_node(folder.path(), "22.1.0")), ..Options::new(folder.path().join("cache")) };
    let plan =
        NodePlan::new(&config(&folder.path().join("app")), &options).await.unwrap_or_else(|error| panic!("{error}"));
    let error = plan.ensure(|_| {}).await.expect_err("npm fails");
    let EnvironmentError::Tool(failure) = &error else { panic!("{error}") };
    assert!(failure.command.contains("npm ci"), "{}", failure.command);
    assert!(failure.remedy.starts_with("The lock file does not fit package.json"), "{}", failure.remedy);
    assert_eq!(failure.folder, folder.path());
    assert!(!folder.path().join("node_modules/.langopen").exists(), "nothing is taken for done");
}
