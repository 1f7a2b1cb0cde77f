use std::collections::BTreeMap;

use super::{app, load, with};
use crate::config::ResolvedEnv;

fn resolved(more: &str, file: Option<&str>, inherited: &[(&str, &str)]) -> ResolvedEnv {
    let folder = app(&with(more));
    if let Some(text) = file {
        std::fs::write(folder.path().join(".env"), text).expect("a file");
    }
    let config = load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!format!("{config:?}").contains("s3cret"), "Debug shows a secret");
    let variable = |name: &str| Some(inherited.iter().find(|(known, _)| *known == name)?.1.to_owned());
    let mut env = config.resolve_env(variable).expect("variables");
    for warning in &mut env.warnings {
        warning.message = warning.message.replace(&folder.path().display().to_string(), "APP");
    }
    env
}

fn pairs(env: &ResolvedEnv) -> Vec<(&str, &str)> {
    env.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn variables_come_from_the_map() {
    let env = resolved(r#""env": {"TOKEN": "s3cret"}"#, None, &[]);
    assert_eq!(env.variables, BTreeMap::from([("TOKEN".to_owned(), "s3cret".to_owned())]));
}

#[test]
fn variables_come_from_the_file() {
    let text = "# note\nA=1\nexport B=\"two words\"\nC='x#y'\nD=${OUTSIDE}-${A}\nNOTHING\n";
    let env = resolved(r#""env": ".env""#, Some(text), &[("OUTSIDE", "o"), ("A", "hidden by the file")]);
    assert_eq!(pairs(&env), [("A", "1"), ("B", "two words"), ("C", "x#y"), ("D", "o-1")]);
    assert!(env.warnings.is_empty());
}

#[test]
fn a_list_names_variables_of_the_server() {
    let env = resolved(r#""env": ["THERE", "MISSING", "SET=a=b"]"#, None, &[("THERE", "1")]);
    assert_eq!(pairs(&env), [("SET", "a=b")]);
    let [warning] = env.warnings.as_slice() else { panic!("{:?}", env.warnings) };
    assert!(warning.message.contains("MISSING"), "{warning}");
}

#[test]
fn a_missing_file_is_a_warning() {
    let env = resolved(r#""env": "conf/.env""#, None, &[]);
    assert!(env.variables.is_empty());
    assert_eq!(
        env.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["`env`: the file APP/conf/.env does not exist, so the application starts without it. \
          Create it, or remove the key."]
    );
}

#[test]
fn a_wrong_line_is_numbered_skipped_and_not_shown() {
    let env = resolved(r#""env": ".env""#, Some("A=1\n\nKEY = 's3cret' s3cret\nB=2\n"), &[]);
    assert_eq!(pairs(&env), [("A", "1"), ("B", "2")]);
    assert_eq!(
        env.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["`env`: APP/.env:3: this line cannot be read and is skipped. Write NAME=value, and close every quote."]
    );
}
