//! The application that every server serves, copied to a folder of its own so that no server writes into the sources.

use std::path::Path;

use crate::error::{Error, Result};

const FILES: [(&str, &str); 3] = [
    ("graphs.py", include_str!("../app/graphs.py")),
    ("langgraph.json", include_str!("../app/langgraph.json")),
    ("bare.py", include_str!("../app/bare.py")),
];

/// Writes the application's files into `folder`.
pub(crate) fn unpack(folder: &Path) -> Result<()> {
    let failed = |source| Error::Io { what: format!("{} cannot be written", folder.display()), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    FILES.iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text)).map_err(failed)
}
