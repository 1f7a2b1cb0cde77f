//! Compares the checks with `validate_config_file` of LangGraph's own command line; `record.py` recorded its verdicts.

use serde::Deserialize;
use serde_json::Value;

use super::{app, load};

#[derive(Deserialize)]
struct Recorded {
    config: Value,
    stock: String,
    /// The reason why the verdicts differ, if they do.
    ours: Option<String>,
    why: Option<String>,
}

#[test]
fn configurations_are_accepted_as_by_the_stock_command_line() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("verdicts.json")).expect("a table");
    let mut wrong = Vec::new();
    for Recorded { config, stock, ours, why } in recorded {
        assert_eq!(ours.is_some(), why.is_some(), "a difference has a reason: {config}");
        let folder = app(&config.to_string());
        for file in ["pyproject.toml", "setup.py", "requirements.txt", "notes.md"] {
            std::fs::write(folder.path().join(file), "").expect("a file");
        }
        let loaded = load(folder.path());
        let verdict = if loaded.is_ok() { "accepts" } else { "refuses" };
        let expected = ours.unwrap_or(stock);
        if !expected.starts_with(verdict) {
            wrong.push(format!(
                "{config}: ours {verdict}, expected {expected}: {:?}",
                loaded.err().map(|e| e.to_string())
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unknown_keys_are_warnings_with_the_nearest_key() {
    let folder = app(r#"{
        "name": "x", "cors": {}, "pythonVersion": "3.12", "dependencies": ["."],
        "graphs": {"agent": {"path": "./agent.py:graph", "descripton": "x"}},
        "store": {"type": "postgres", "uri": "postgres://u:hush@h"},
        "http": {"cors": {"max_agee": 5}}, "encryption": {"path": "./agent.py:e", "algorithm": "aes"}
    }"#);
    let config = load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let found: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    let unknown = |key: &str, remedy: &str| format!("`{key}`: this key is unknown and has no effect. {remedy}");
    for expected in [
        unknown("cors", "Did you mean `http.cors`?"),
        unknown("pythonVersion", "Did you mean `python_version`?"),
        unknown("graphs.agent.descripton", "Did you mean `graphs.agent.description`?"),
        unknown("store.type", "The keys here are `path`, `index` or `ttl`."),
        unknown("store.uri", "The keys here are `path`, `index` or `ttl`."),
        unknown("http.cors.max_agee", "Did you mean `http.cors.max_age`?"),
        unknown("encryption.algorithm", "The keys here are `path`."),
    ] {
        assert!(found.contains(&expected), "{expected} in {found:#?}");
    }
    assert!(found.iter().any(|text| text.starts_with("`name`: ")));
    assert!(!found.concat().contains("hush"));
}

#[test]
fn files_stand_for_what_they_describe() {
    use crate::config::Dependency;
    let folder =
        app(r#"{"dependencies": [".", "./pyproject.toml", "./requirements.txt", "./x-1.whl[a]", "./notes.md"],
                         "graphs": {"agent": "./agent.py:graph"}}"#);
    for file in ["pyproject.toml", "requirements.txt", "x-1.whl", "notes.md"] {
        std::fs::write(folder.path().join(file), "").expect("a file");
    }
    let config = load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let base = folder.path();
    assert_eq!(
        config.dependencies,
        [
            Dependency::Local { written: ".".into(), path: base.into(), extras: vec![] },
            Dependency::Requirements(base.join("requirements.txt")),
            Dependency::Package(format!("{}[a]", base.join("x-1.whl").display())),
        ]
    );
    assert_eq!(config.warnings().len(), 1);
}
