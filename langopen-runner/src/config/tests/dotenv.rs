//! Compares the parser with python-dotenv: `record.py` recorded its results for texts that are hand-written or random.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::dotenv::{parse, resolve};

#[derive(Deserialize)]
struct Recorded {
    text: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    values: BTreeMap<String, Option<String>>,
}

#[test]
fn values_are_those_of_python_dotenv() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("dotenv.json")).expect("a table");
    assert!(recorded.len() > 400);
    for Recorded { text, variables, values } in recorded {
        let found = resolve(parse(&text).bindings, |name| variables.get(name).cloned());
        assert_eq!(found, values, "{text:?}");
    }
}

#[test]
fn values_that_people_write() {
    let file = r#"
PASSWORD=pa$$word1$x
HASH=$2b$12$abc
COLOUR=#ff8800
ACCOUNT={"type":"svc"}
LIST=["a","b"]
QUOTES=x'y'z
WORDS=two words
ITS=it's
PATH_=C:\Users\me
DEFAULT=${NO:-d}
TAB="a\tb"
export EXPORTED=yes # note
KEY="-----BEGIN-----
abc=
-----END-----"
NAME
"#;
    let found = resolve(parse(file).bindings, |_| None);
    let expected = [
        ("PASSWORD", "pa$$word1$x"),
        ("HASH", "$2b$12$abc"),
        ("COLOUR", "#ff8800"),
        ("ACCOUNT", r#"{"type":"svc"}"#),
        ("LIST", r#"["a","b"]"#),
        ("QUOTES", "x'y'z"),
        ("WORDS", "two words"),
        ("ITS", "it's"),
        ("PATH_", r"C:\Users\me"),
        ("DEFAULT", "d"),
        ("TAB", "a\tb"),
        ("EXPORTED", "yes"),
        ("KEY", "-----BEGIN-----\nabc=\n-----END-----"),
    ];
    for (name, value) in expected {
        assert_eq!(found[name].as_deref(), Some(value), "{name}");
    }
    assert_eq!(found["NAME"], None);
    assert_eq!(found.len(), expected.len() + 1);
}

#[test]
fn unreadable_lines_are_numbered() {
    assert_eq!(parse("A=1\n\n  B='x' y\nC=2\n=3\nD=\"open\n").unreadable, [3, 5, 6]);
}
