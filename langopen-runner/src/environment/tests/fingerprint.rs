use super::{app, config, plan, write};
use crate::environment::{EnvironmentPlan, Options};

const FILES: &[(&str, &str)] = &[
    ("requirements.txt", "-r more.txt\n./lib\n"),
    ("more.txt", "--constraint=limits.txt\n"),
    ("limits.txt", "httpx<1\n"),
    ("pyproject.toml", "[tool.ruff]\n"),
    ("lib/setup.py", ""),
    ("pip.conf", ""),
];

#[tokio::test]
async fn it_changes_with_what_decides_the_packages() {
    let cache = tempfile::tempdir().expect("a folder");
    let folder = app(r#""dependencies": ["."], "pip_config_file": "pip.conf""#, FILES);
    let mut seen = vec![plan(folder.path(), cache.path()).await.hash().to_owned()];
    assert_eq!(seen[0].len(), 32);
    for (file, content) in [
        ("requirements.txt", "-r more.txt\n./lib\nhttpx\n"),
        ("more.txt", "-c limits.txt\n"),
        ("limits.txt", "httpx<2\n"),
        ("pyproject.toml", "[tool.ruff]\nline-length = 100\n"),
        ("lib/setup.py", "# changed\n"),
        ("lib/pyproject.toml", ""),
        ("pip.conf", "[global]\n"),
        ("setup.cfg", ""),
        ("uv.lock", ""),
    ] {
        write(folder.path(), &[(file, content)]);
        let hash = plan(folder.path(), cache.path()).await.hash().to_owned();
        assert!(!seen.contains(&hash), "{file} does not count");
        seen.push(hash);
    }
}

#[tokio::test]
async fn it_stays_when_only_code_changes() {
    let cache = tempfile::tempdir().expect("a folder");
    let folder = app(r#""dependencies": ["."]"#, FILES);
    let before = plan(folder.path(), cache.path()).await;
    write(folder.path(), &[("agent.py", "graph = 1"), ("lib/code.py", "")]);
    assert_eq!(before.hash(), plan(folder.path(), cache.path()).await.hash());
}

#[tokio::test]
async fn it_depends_on_the_options() {
    let cache = tempfile::tempdir().expect("a folder");
    let folder = app(r#""dependencies": [".", "httpx"]"#, &[]);
    let config = config(folder.path());
    let plain = Options::new(cache.path());
    let limited = Options { constraints: vec!["langgraph<2".into()], ..plain.clone() };
    let bare = Options { host_requirements: Vec::new(), ..plain.clone() };
    let mut hashes = Vec::new();
    for options in [plain.clone(), plain, limited, bare] {
        let plan = EnvironmentPlan::with_uv(&config, options, None).await.unwrap_or_else(|error| panic!("{error}"));
        hashes.push(plan.hash().to_owned());
    }
    assert_eq!(hashes[0], hashes[1]);
    hashes.dedup();
    assert_eq!(hashes.len(), 3);
}
