//! The keys `ui` and `ui_config`: components that pages of clients show.

use std::collections::BTreeMap;

use super::section::Section;

/// What component bundles have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UiConfig {
    /// Packages that are not bundled, as the page hands out its own.
    pub shared: Vec<String>,
}

/// Component files by name, which is most often a graph's id.
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
