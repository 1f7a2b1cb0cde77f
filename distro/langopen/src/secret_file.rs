//! Reads secrets from files. Kubernetes and Docker mount secrets as files, and process lists do not show their content.

use std::path::Path;

use crate::error::CommandError;

/// The text of a file, without surrounding whitespace. `name` is the option that names the file.
pub(crate) fn read(name: &'static str, path: &Path) -> Result<String, CommandError> {
    let wrong = |why: String| CommandError::SecretFile { name, path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    match text.trim() {
        "" => Err(wrong("it is empty".to_owned())),
        text => Ok(text.to_owned()),
    }
}

/// The value itself, or the text of the file.
pub(crate) fn value_or_file(
    value: Option<&String>,
    name: &'static str,
    file: Option<&Path>,
) -> Result<Option<String>, CommandError> {
    match (value, file) {
        (Some(value), _) => Ok(Some(value.clone())),
        (None, Some(file)) => read(name, file).map(Some),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, " s3cret\n").unwrap();
        assert_eq!(read("--token-file", &path).unwrap(), "s3cret");
        std::fs::write(&path, "\n").unwrap();
        let empty = read("--token-file", &path).unwrap_err().to_string();
        assert!(empty.contains("--token-file") && empty.contains("empty"), "{empty}");
        assert!(read("--token-file", &folder.path().join("none")).is_err());
    }
}
