//! Features that `langgraph.json` can configure, but the runner does not have.

use std::fmt;

use super::AppConfig;
use super::checkpointer::CheckpointerBackend;

/// A configured feature that the runner does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The key that configures it.
    pub key: String,
    /// The consequence, and the remedy.
    pub why: String,
    /// Whether the application would run wrongly or unsafely without the feature.
    pub fatal: bool,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.why)
    }
}

pub(super) fn check(config: &AppConfig) -> Vec<Unsupported> {
    let mut found = Vec::new();
    let mut add = |asked: bool, key: &str, fatal: bool, why: &str| {
        if asked {
            found.push(Unsupported { key: key.to_owned(), why: why.to_owned(), fatal });
        }
    };
    add(
        config.auth.as_ref().is_some_and(|auth| auth.allow_langsmith_api_keys),
        "auth.allow_langsmith_api_keys",
        false,
        "LangSmith is not asked about its keys: requests that bear one go to auth.path like all others.",
    );
    add(
        config.encryption.is_some(),
        "encryption",
        true,
        "Custom encryption cannot be run yet, and without it data would be stored in the clear. Remove the key, \
         and encrypt the data store's disks instead.",
    );
    let checkpointer = config.checkpointer.as_ref();
    add(
        checkpointer.is_some_and(|c| c.path.is_some()),
        "checkpointer.path",
        false,
        "Custom checkpointers are not used yet: the platform keeps the checkpoints.",
    );
    add(
        checkpointer.is_some_and(|c| c.backend != CheckpointerBackend::Default),
        "checkpointer.backend",
        false,
        "Other backends are not used: the platform keeps the checkpoints in its own database.",
    );
    add(
        config.store.as_ref().is_some_and(|store| store.path.is_some()),
        "store.path",
        false,
        "Custom stores are not used yet: the platform keeps the items.",
    );
    add(config.priority.is_some(), "priority", false, "Custom priorities are not used yet: runs are taken in order.");
    found
}
