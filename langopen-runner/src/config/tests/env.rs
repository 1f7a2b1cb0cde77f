use std::collections::BTreeMap;

use super::{app, load, with};

#[test]
fn variables_come_from_the_map() {
    let folder = app(&with(r#""env": {"TOKEN": "s3cret"}"#));
    let config = load(folder.path()).expect("a good file");
    let expected = BTreeMap::from([("TOKEN".to_owned(), "s3cret".to_owned())]);
    assert_eq!(config.resolve_env().expect("variables"), expected);
    assert!(!format!("{config:?}").contains("s3cret"), "Debug shows a secret");
}

#[test]
fn variables_come_from_the_file() {
    let folder = app(&with(r#""env": ".env""#));
    std::fs::write(folder.path().join(".env"), "# note\nA=1\nexport B=\"two words\"\nC='x#y'\n").expect("a file");
    let variables = load(folder.path()).and_then(|config| config.resolve_env()).expect("variables");
    let pairs: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("A", "1"), ("B", "two words"), ("C", "x#y")]);
}

#[test]
fn a_missing_file_is_an_error_when_the_variables_are_wanted() {
    let folder = app(&with(r#""env": "conf/.env""#));
    let error = load(folder.path()).expect("a good file").resolve_env().expect_err("no file");
    let text = error.to_string().replace(&folder.path().display().to_string(), "APP");
    assert_eq!(
        text,
        "APP/langgraph.json: `env`: the file APP/conf/.env does not exist. Create it, or remove the key `env`."
    );
}

#[test]
fn a_wrong_line_is_numbered_and_not_shown() {
    let folder = app(&with(r#""env": ".env""#));
    std::fs::write(folder.path().join(".env"), "A=1\n\nKEY = un quoted s3cret\n").expect("a file");
    let error = load(folder.path()).expect("a good file").resolve_env().expect_err("a wrong line");
    let text = error.to_string().replace(&folder.path().display().to_string(), "APP");
    assert_eq!(
        text,
        "APP/.env:3: this line is not of the form NAME=value. \
         Put a value with spaces or special characters in quotes."
    );
    assert!(!format!("{error:?}").contains("s3cret"));
}
