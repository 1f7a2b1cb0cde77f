//! The applications that the servers serve. Each server gets a copy in its own folder, so that no server writes into
//! the sources.

use std::path::Path;

use crate::error::{Error, Result};

pub(crate) type Files = &'static [(&'static str, &'static str)];

/// The graphs in Python.
pub(crate) const PYTHON: Files = &[
    ("graphs.py", include_str!("../app/graphs.py")),
    ("langgraph.json", include_str!("../app/langgraph.json")),
    ("bare.py", include_str!("../app/bare.py")),
];

/// The graph `noop` in TypeScript.
pub(crate) const TYPESCRIPT: Files = &[
    ("graphs.ts", include_str!("../app_js/graphs.ts")),
    ("langgraph.json", include_str!("../app_js/langgraph.json")),
    ("package.json", include_str!("../app_js/package.json")),
    ("package-lock.json", include_str!("../app_js/package-lock.json")),
];

/// Writes an application's files into `folder`.
pub(crate) fn unpack(files: Files, folder: &Path) -> Result<()> {
    let failed = |source| Error::Io { what: format!("cannot write {}", folder.display()), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    files.iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text)).map_err(failed)
}
