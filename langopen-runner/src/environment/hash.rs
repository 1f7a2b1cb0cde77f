//! The fingerprint of an environment. Plans with the same fingerprint share one environment.

use std::fmt::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::inputs::Inputs;
use super::installer::Installer;
use super::python::Interpreter;

// Increase it when environments are made differently, so that old ones are not reused.
const FORMAT: &str = "1";

/// SHA-256 over labelled values and their lengths, so neighbouring values cannot merge.
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(super) fn bytes(&mut self, label: &str, value: &[u8]) {
        for part in [label.as_bytes(), value] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    pub(super) fn text(&mut self, label: &str, value: &str) {
        self.bytes(label, value.as_bytes());
    }

    pub(super) fn path(&mut self, label: &str, value: &Path) {
        self.bytes(label, value.as_os_str().as_encoded_bytes());
    }

    /// The first 128 bits in hexadecimal. It is short because scripts with a `#!` line need short paths.
    pub(super) fn finish(self) -> String {
        self.0.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

pub(super) fn of(inputs: &Inputs, python: &Interpreter, installer: &Installer) -> String {
    let mut hasher = Hasher::new();
    hasher.text("format", FORMAT);
    hasher.text("installer", installer.name());
    hasher.text("version", &python.version);
    hasher.path("python", &python.path);
    for (label, values) in
        [("editable", &inputs.editable), ("package", &inputs.packages), ("constraint", &inputs.constraints)]
    {
        values.iter().for_each(|value| hasher.text(label, value));
    }
    inputs.requirement_files.iter().for_each(|path| hasher.path("requirements", path));
    if let Some(source) = &inputs.source {
        hasher.path("source", &source.root);
        hasher.text("source package", source.package.as_deref().unwrap_or_default());
    }
    for path in &inputs.watched {
        hasher.path("file", path);
        match std::fs::read(path) {
            Ok(content) => hasher.bytes("content", &content),
            Err(_) => hasher.text("absent", ""),
        }
    }
    hasher.finish()
}
