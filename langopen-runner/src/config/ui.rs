//! The keys `ui` and `ui_config`: components for client pages.

use std::collections::BTreeMap;

use super::section::Section;

/// The settings of all component bundles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UiConfig {
    /// Packages that the page provides, so bundles do not contain them.
    pub shared: Vec<String>,
}

/// Component files by name, usually a graph's id.
pub(super) fn read(top: &Section<'_>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (name, value) in top.object("ui").into_iter().flatten() {
        match value.as_str() {
            Some(path) => {
                files.insert(name.clone(), path.to_owned());
            }
            None => top.context.wrong(format!("ui.{name}"), value, "a text"),
        }
    }
    files
}

pub(super) fn read_config(section: &Section<'_>) -> UiConfig {
    UiConfig { shared: section.texts("shared").unwrap_or_default() }
}
