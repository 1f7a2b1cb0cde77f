use super::{message, with};
use crate::config::AppConfig;

#[test]
fn wrong_values_say_where_what_and_what_to_do() {
    let cases = [
        (
            r#""http": {"cors": {"max_age": "600"}}"#,
            "`http.cors.max_age`: found the text \"600\", expected a whole number of seconds, 0 or more. \
             Write 600 without quotes.",
        ),
        (
            r#""http": {"cors": {"allow_origins": "*"}}"#,
            "`http.cors.allow_origins`: found the text \"*\", expected a list of texts. Write it as a list: [\"*\"].",
        ),
        (
            r#""http": {"cors": {"allow_origins": ["a", 7]}}"#,
            "`http.cors.allow_origins[1]`: found the number 7, expected a text. Put it in quotes: \"7\".",
        ),
        (
            r#""http": {"disable_mcp": "true"}"#,
            "`http.disable_mcp`: found the text \"true\", expected true or false. Write true without quotes.",
        ),
        (
            r#""http": {"middleware_order": "auth-first"}"#,
            "`http.middleware_order`: found the text \"auth-first\", expected `auth_first` or `middleware_first`. \
             Did you mean `auth_first`?",
        ),
        (
            r#""http": {"mount_prefix": "api"}"#,
            "`http.mount_prefix`: found \"api\", expected a path that starts with a slash. Write \"/api\".",
        ),
        (
            r#""python_version": 3.11"#,
            "`python_version`: found the number 3.11, expected a text. Put it in quotes: \"3.11\".",
        ),
        (
            r#""python_version": "3.9""#,
            "`python_version`: Python 3.9 is not supported, the oldest is 3.11. \
             Write \"3.11\", \"3.12\", \"3.13\" or \"3.14\".",
        ),
        (
            r#""python_version": "3.11.4""#,
            "`python_version`: found \"3.11.4\", expected a major and a minor version. \
             Write \"3.11\", \"3.12\", \"3.13\" or \"3.14\".",
        ),
        (
            r#""pip_installer": "conda""#,
            "`pip_installer`: found the text \"conda\", expected `auto`, `pip` or `uv`. \
             Choose one of them, or remove the key to get the default.",
        ),
        (
            r#""pip_config_file": "pip.conf""#,
            "`pip_config_file`: found \"pip.conf\", but the file APP/pip.conf does not exist. \
             Correct the path; it starts at the folder of the configuration file.",
        ),
        (
            r#""node_version": "18""#,
            "`node_version`: found \"18\", expected a major version, 20 or more. Write \"20\" or \"22\".",
        ),
        (
            r#""api_version": "0.7", "_INTERNAL_docker_tag": "x""#,
            "`api_version`: this key and `_INTERNAL_docker_tag` exclude each other. Remove one of them.",
        ),
        (
            r#""keep_pkg_tools": ["pip", "poetry"]"#,
            "`keep_pkg_tools`: found a list, expected true, false or a list of `pip`, `setuptools` and `wheel`. \
             Change it, or remove the key to get the default.",
        ),
        (
            r#""store": {"index": {"dims": 0, "embed": "a:b"}}"#,
            "`store.index.dims`: found the number 0, expected a whole number of dimensions, 1 or more. \
             Change it, or remove the key to get the default.",
        ),
        (
            r#""store": {"index": {"dims": 3}}"#,
            "`store.index`: the key `embed` is missing. Add it, as in \"embed\": \"openai:text-embedding-3-small\".",
        ),
        (
            r#""checkpointer": {"ttl": {"strategy": "keep"}}"#,
            "`checkpointer.ttl.strategy`: found the text \"keep\", expected `delete` or `keep_latest`. \
             Choose one of them, or remove the key to get the default.",
        ),
        (
            r#""auth": {"path": "./auth.py:auth"}"#,
            "`auth.path`: found \"./auth.py:auth\", but the file APP/auth.py does not exist. \
             Correct the path; it starts at the folder of the configuration file.",
        ),
        (
            r#""webhooks": {"headers": {"Authorization": 77}}"#,
            "`webhooks.headers.Authorization`: found a number, expected a text. Put the value in quotes.",
        ),
        (r#""env": {"TOKEN": 12345}"#, "`env.TOKEN`: found a number, expected a text. Put the value in quotes."),
        (
            r#""env": 5"#,
            "`env`: found the number 5, expected the path of a file, or an object of names and texts. \
             Change it, or remove the key to get the default.",
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(message(&with(more)), format!("APP/langgraph.json: {expected}"), "{more}");
    }
}

#[test]
fn wrong_graphs_and_dependencies() {
    let text = |dependencies: &str, graphs: &str| format!(r#"{{"dependencies": {dependencies}, "graphs": {graphs}}}"#);
    let cases = [
        (
            r#"["."]"#,
            r#"{"a": "agent.py"}"#,
            "`graphs.a`: found \"agent.py\", which does not say which object of the file to take. \
             Write agent.py:graph if the object is called graph.",
        ),
        (
            r#"["."]"#,
            r#"{"a": "agent"}"#,
            "`graphs.a`: found \"agent\", which does not say which object of the file to take. \
             Write agent:graph for a module, or ./agent.py:graph for a file.",
        ),
        (
            r#"["."]"#,
            r#"{"a": "./agent.py:"}"#,
            "`graphs.a`: found \"./agent.py:\", whose part after the last colon is not a name. \
             Write the name of an object after the last colon, as in ./agent.py:graph.",
        ),
        (
            r#"["."]"#,
            r#"{"a": "./agent:graph"}"#,
            "`graphs.a`: found \"./agent:graph\", whose file is neither Python nor JavaScript. \
             Write the whole name of the file, as in ./agent.py:graph.",
        ),
        (
            r#"["."]"#,
            r#"{"a": {"path": "./src/none.py:graph"}}"#,
            "`graphs.a.path`: found \"./src/none.py:graph\", but the file APP/src/none.py does not exist. \
             Correct the path; it starts at the folder of the configuration file.",
        ),
        (
            r#"["."]"#,
            r#"{"a": {"description": "x"}}"#,
            "`graphs.a`: the key `path` is missing. Add \"path\": \"./agent.py:graph\".",
        ),
        (
            r#"["."]"#,
            r#"{}"#,
            "`graphs`: there is no graph. Name at least one graph: {\"agent\": \"./agent.py:graph\"}.",
        ),
        (
            r#"["./libs/x"]"#,
            r#"{"a": "./agent.py:graph"}"#,
            "`dependencies[0]`: found \"./libs/x\", but APP/libs/x does not exist. \
             Name a folder; the path starts at the folder of the configuration file.",
        ),
        (
            r#"[".", "--index-url=https://x"]"#,
            r#"{"a": "./agent.py:graph"}"#,
            "`dependencies[1]`: found \"--index-url=https://x\", which is an option, not a package. \
             Put options into a requirements.txt of a local dependency or into `pip_config_file`.",
        ),
        (
            "[]",
            r#"{"a": "./agent.py:graph"}"#,
            "`dependencies`: there is no dependency. Add the application's own folder: \"dependencies\": [\".\"].",
        ),
    ];
    for (dependencies, graphs, expected) in cases {
        let text = text(dependencies, graphs);
        assert_eq!(message(&text), format!("APP/langgraph.json: {expected}"), "{text}");
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    assert_eq!(
        message(&with(r#""pip_installer": "uw", "http": 1"#)),
        "APP/langgraph.json: 2 problems:\n  \
         - `pip_installer`: found the text \"uw\", expected `auto`, `pip` or `uv`. Did you mean `uv`?\n  \
         - `http`: found the number 1, expected an object. Change it, or remove the key to get the default."
    );
}

#[test]
fn broken_json_has_a_line_and_a_column() {
    let cases = [
        (
            "{\n  \"graphs\": {},\n}",
            "3:1: this is not valid JSON: trailing comma. Remove the comma before the closing bracket.",
        ),
        (
            "{\n  // hi\n}",
            "2:3: this is not valid JSON: key must be a string. Put the name in double quotes; comments are not allowed.",
        ),
        (
            "{",
            "1:1: this is not valid JSON: EOF while parsing an object. The file ends too early: a bracket or a quote is not closed.",
        ),
        (
            "{\"a\": 'b'}",
            "1:7: this is not valid JSON: expected value. Texts stand in double quotes; comments are not allowed.",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("APP/langgraph.json:{expected}"), "{text}");
    }
    assert_eq!(
        message("[]"),
        "APP/langgraph.json: `(top level)`: found a list, expected an object. \
         Change it, or remove the key to get the default."
    );
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = AppConfig::load(folder.path()).expect_err("no file");
    let path = folder.path().join("langgraph.json");
    assert_eq!(
        error.to_string(),
        format!("{}: there is no such file. Create it, or name another one with --config.", path.display())
    );
}
