//! Reads API keys from a file when a server starts.

use std::collections::HashSet;
use std::path::Path;

use langopen_core::auth::{ApiKey, ApiKeyRecord};
use serde::{Deserialize, Serialize};

use crate::error::CommandError;
use crate::manage::NewKeyOptions;

/// The file: TOML, or JSON if its name ends with `.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    keys: Vec<ApiKeyRecord>,
}

/// Reads the records of a file. Error messages never show the file's content.
pub(crate) fn read(path: &Path) -> Result<Vec<ApiKeyRecord>, CommandError> {
    let wrong = |why: String| CommandError::KeysFile { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let file: KeysFile = match json {
        true => serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?,
        false => toml::from_str(&text).map_err(|error| wrong(describe(&text, &error)))?,
    };
    let mut names = HashSet::new();
    for record in &file.keys {
        if record.name.trim().is_empty() {
            return Err(wrong("a key has no name".to_owned()));
        }
        if !names.insert(&record.name) {
            return Err(wrong(format!("two keys are called {:?}", record.name)));
        }
        record.tenant().map_err(|error| wrong(format!("key {:?}: {}", record.name, error.message())))?;
    }
    Ok(file.keys)
}

/// The error message with the number of the line, but without its text.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
    let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    format!("{at}{}", error.message())
}

/// Creates a key, and prints it once with its record.
pub(crate) fn new(options: NewKeyOptions) -> Result<(), CommandError> {
    let key = ApiKey::generate()?;
    let NewKeyOptions { name, identity, tenant, role, permissions } = options;
    let record = ApiKeyRecord { name, hash: key.hash(), identity, tenant, role, permissions };
    record.tenant()?;
    let record =
        toml::to_string(&KeysFile { keys: vec![record] }).map_err(|error| CommandError::WriteKey(error.to_string()))?;
    println!("# The key. This is the only time that it is shown: give it to its bearer.\n# {}\n", key.expose());
    println!("# The record. Add it to the file of `langopen up --api-keys FILE`.\n{record}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> Result<Vec<ApiKeyRecord>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn files_are_toml_or_json() {
        let hash = ApiKey::generate().unwrap().hash();
        let toml =
            format!("[[keys]]\nname = \"ci\"\nhash = \"{hash}\"\npermissions = [\"read\"]\ntenant = \"a/b/c\"\n");
        let keys = file("keys.toml", &toml).unwrap();
        assert_eq!((keys[0].name.as_str(), keys[0].hash), ("ci", hash));
        let json = format!(r#"{{"keys": [{{"name": "ci", "hash": "{hash}", "identity": "ci@acme"}}]}}"#);
        assert_eq!(file("keys.json", &json).unwrap()[0].identity.as_deref(), Some("ci@acme"));
    }

    #[test]
    fn a_wrong_file_says_what_is_wrong_and_shows_no_hash() {
        let hash = ApiKey::generate().unwrap().hash();
        let one = |more: &str| format!("[[keys]]\nname = \"ci\"\nhash = \"{hash}\"\n{more}");
        for (text, says) in [
            (one("role = \"king\"\n"), "king"),
            (one("rolle = \"admin\"\n"), "rolle"),
            (one(&one("")), "two keys"),
            (one("tenant = \"acme\"\n"), "organization/project/deployment"),
            ("[[keys]]\nname = \"ci\"\nhash = \"lok_oops\"\n".to_owned(), "sha256:"),
            ("[[keys]]\nname = \"ci\"\n".to_owned(), "hash"),
            ("keys".to_owned(), "line 1"),
        ] {
            let message = file("keys.toml", &text).unwrap_err();
            assert!(message.contains(says), "{message}");
            assert!(!message.contains(&hash.to_string()[10..]) && !message.contains("lok_oops"), "{message}");
        }
    }
}
