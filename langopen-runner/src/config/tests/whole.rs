use super::{app, load};
use crate::config::{
    AllowedModules, Dependency, ImageDistro, KeepPkgTools, MiddlewareOrder, PipInstaller, PythonVersion, TargetKind,
    TtlStrategy,
};

const EVERY_KEY: &str = r#"{
  "$schema": "https://langgra.ph/schema.json",
  "dependencies": [".", "./src[dev, test]", "httpx>=0.27", "git+https://example.com/x.git@main"],
  "graphs": {
    "file": "./src/pkg/graph.py:make",
    "module": {"path": "pkg.graph:graph", "description": "A graph"},
    "script": "./web/agent.ts:default"
  },
  "env": {"A": "b"},
  "python_version": "3.12-bookworm", "node_version": "22", "api_version": "0.7.5", "base_image": "x/y",
  "image_distro": "wolfi", "pip_config_file": "agent.py", "pip_installer": "pip",
  "keep_pkg_tools": ["pip"], "dockerfile_lines": ["RUN true"],
  "store": {"path": "pkg.store:store", "index": {"dims": 3, "embed": "./agent.py:embed", "fields": ["$"]},
            "ttl": {"refresh_on_read": true, "default_ttl": 1.5, "sweep_interval_minutes": 10}},
  "checkpointer": {"backend": "mongo", "path": "./agent.py:saver", "uri": "mongodb://u:pass@h",
    "ttl": {"strategy": "keep_latest", "default_ttl": 60, "sweep_interval_minutes": 5, "sweep_limit": 10},
    "serde": {"allowed_json_modules": [["a", "B"]], "allowed_msgpack_modules": null, "pickle_fallback": false}},
  "auth": {"path": "./agent.py:auth", "disable_studio_auth": true, "allow_langsmith_api_keys": true,
    "openapi": {"securitySchemes": {"s": {}}, "security": [{"s": []}], "paths": {"/x": {}}},
    "cache": {"cache_keys": ["k"], "ttl_seconds": 5, "max_size": 7}},
  "encryption": {"path": "./agent.py:enc"}, "priority": {"path": "./agent.py:prio"},
  "http": {"app": "./agent.py:app", "disable_assistants": true, "disable_threads": true, "disable_runs": true,
    "disable_store": true, "disable_mcp": true, "disable_a2a": true, "disable_meta": true, "disable_ui": true,
    "disable_webhooks": true, "disable_event_streaming": true,
    "cors": {"allow_origins": ["*"], "allow_methods": ["GET"], "allow_headers": ["x"], "allow_credentials": true,
      "allow_origin_regex": ".*", "expose_headers": ["y"], "max_age": 600},
    "configurable_headers": {"includes": ["X-*"], "excludes": ["x-secret"]}, "logging_headers": {"include": ["*"]},
    "middleware_order": "auth_first", "enable_custom_route_auth": true, "mount_prefix": "/api/"},
  "webhooks": {"env_prefix": "HOOK_", "headers": {"Authorization": "Bearer ${{ env.HOOK_T }}"},
    "allowed_fields": ["status"], "url": {"require_https": true, "allowed_domains": ["*.x.com"],
    "allowed_ports": [443], "max_url_length": 100, "disable_loopback": false, "disable_private_ips": true}},
  "ui": {"file": "./ui.tsx"}, "ui_config": {"shared": ["react"]}
}"#;

#[test]
fn every_key_is_known() {
    let folder = app(EVERY_KEY);
    let base = folder.path();
    let config = load(base).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.base_dir(), base);
    assert_eq!(
        config.dependencies,
        [
            Dependency::Local { written: ".".into(), path: base.into(), extras: vec![] },
            Dependency::Local {
                written: "./src[dev, test]".into(),
                path: base.join("src"),
                extras: vec!["dev".into(), "test".into()]
            },
            Dependency::Package("httpx>=0.27".into()),
            Dependency::Package("git+https://example.com/x.git@main".into()),
        ]
    );
    let kinds: Vec<TargetKind> = config.graphs.values().map(|graph| graph.target.kind).collect();
    assert_eq!(kinds, [TargetKind::PythonFile, TargetKind::PythonModule, TargetKind::JavaScript]);
    let file = &config.graphs["file"].target;
    assert_eq!((file.path_or_module.as_str(), file.attribute.as_str()), ("./src/pkg/graph.py", "make"));
    assert_eq!(file.to_string(), "./src/pkg/graph.py:make");
    assert_eq!(file.file(base), Some(base.join("src/pkg/graph.py")));
    assert_eq!(config.graphs["module"].target.file(base), None);
    assert_eq!(config.graphs["module"].description.as_deref(), Some("A graph"));

    assert_eq!(config.packaging.python_version, Some(PythonVersion { major: 3, minor: 12 }));
    assert_eq!(config.packaging.pip_installer, PipInstaller::Pip);
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    assert_eq!(config.image.distro, Some(ImageDistro::Wolfi));
    assert_eq!(config.image.keep_pkg_tools, KeepPkgTools::Some(vec!["pip".into()]));

    let index = config.store.as_ref().and_then(|store| store.index.as_ref()).expect("an index");
    let json = serde_json::to_value(index).expect("JSON");
    assert_eq!(json, serde_json::json!({"dims": 3, "embed": "./agent.py:embed", "fields": ["$"]}));

    let checkpointer = config.checkpointer.as_ref().expect("a checkpointer");
    assert_eq!(checkpointer.ttl.as_ref().map(|ttl| ttl.strategy), Some(TtlStrategy::KeepLatest));
    let serde = checkpointer.serde.as_ref().expect("serde");
    assert_eq!(serde.allowed_json_modules, AllowedModules::Listed(vec![vec!["a".into(), "B".into()]]));
    assert_eq!(serde.allowed_msgpack_modules, AllowedModules::Safe);
    let document = serde_json::json!({
        "allowed_json_modules": [["a", "B"]], "allowed_msgpack_modules": null, "pickle_fallback": false,
    });
    assert_eq!(serde.document(), document);
    assert!(!format!("{config:?}").contains("pass@"), "Debug shows a secret");

    let http = config.http.as_ref().expect("http");
    assert_eq!(http.mount_prefix.as_deref(), Some("/api"));
    assert_eq!(http.middleware_order, Some(MiddlewareOrder::AuthFirst));
    let headers = http.configurable_headers.as_ref().expect("headers");
    assert_eq!(headers.includes.as_deref(), Some(&["x-*".to_owned()][..]));
    assert_eq!(http.logging_headers.as_ref().and_then(|h| h.includes.clone()), Some(vec!["*".to_owned()]));
}

#[test]
fn a_folder_stands_for_its_file_and_a_byte_order_mark_is_skipped() {
    let folder = app("\u{feff}{\"dependencies\": [\".\"], \"graphs\": {\"a\": \"./agent.py:graph\"}}");
    let config = crate::config::AppConfig::load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.path(), folder.path().join("langgraph.json"));
    assert!(config.resolve_env(|_| None).expect("variables").variables.is_empty());
}

#[test]
fn javascript_alone_needs_no_dependencies() {
    let folder = app(r#"{"node_version": "20", "graphs": {"a": "./web/agent.ts:graph"}, "store": null}"#);
    assert!(load(folder.path()).is_ok_and(|config| config.dependencies.is_empty() && config.store.is_none()));
}

#[test]
fn a_lock_file_of_uv_stands_for_the_dependencies() {
    let folder =
        app(r#"{"graphs": {"a": "./agent.py:graph"}, "source": {"kind": "uv", "root": "./src", "package": "pkg"}}"#);
    let config = load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let source = config.packaging.source.as_ref().expect("a source");
    assert_eq!((source.root.clone(), source.package.as_deref()), (folder.path().join("src"), Some("pkg")));
}
