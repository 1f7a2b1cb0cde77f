use super::{app, load, with};

fn unsupported(text: &str) -> Vec<(String, bool)> {
    let folder = app(text);
    let config = load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    config.require_supported().into_iter().map(|found| (found.key, found.fatal)).collect()
}

#[test]
fn a_plain_application_is_supported() {
    let more = r#""auth": {"path": "./agent.py:auth", "disable_studio_auth": true}, "http": {"configurable_headers": {}},
                  "store": {"ttl": {}}, "checkpointer": {"ttl": {"default_ttl": 5}}, "webhooks": {"url": {"require_https": true}}"#;
    assert!(unsupported(&with(more)).is_empty());
}

#[test]
fn what_would_be_unsafe_or_wrong_is_fatal() {
    let more = r#""encryption": {"path": "./agent.py:enc"}"#;
    assert_eq!(unsupported(&with(more)), [("encryption".to_owned(), true)]);
}

#[test]
fn javascript_is_supported_alone_and_beside_python() {
    let graphs =
        r#"{"node_version": "20", "graphs": {"ts": "./web/agent.ts:graph"}, "auth": {"path": "./web/agent.ts:auth"}}"#;
    assert!(unsupported(graphs).is_empty());
    let more = r#""auth": {"path": "./web/agent.ts:auth"}, "http": {"app": "./web/agent.ts:app"}"#;
    assert!(unsupported(&with(more)).is_empty());
}

#[test]
fn the_rest_is_a_warning() {
    let more = r#""auth": {"allow_langsmith_api_keys": true}, "store": {"path": "./agent.py:store"},
                  "checkpointer": {"backend": "custom", "path": "./agent.py:saver"}"#;
    let warnings = ["auth.allow_langsmith_api_keys", "checkpointer.path", "checkpointer.backend", "store.path"];
    assert_eq!(unsupported(&with(more)), warnings.map(|key| (key.to_owned(), false)));
}
