//! Components of an application's own that its clients' pages show (generative user interfaces).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;

/// A script with components, and their style. Files of other content have another hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The SHA-256 of the files' content, in hexadecimal.
    pub hash: String,
    /// The global object that the script sets: its function `render(component, shadowRootId)` puts a component where a page waits for it.
    pub global: String,
    /// JavaScript.
    pub script: Bytes,
    /// CSS, if the components have some.
    pub style: Option<Bytes>,
}

/// Who has the components of an application.
#[async_trait]
pub trait UserInterfaces: Send + Sync + 'static {
    /// The bundle of this name, most often a graph's id.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Graph` with file and line if it could not be made, `Unavailable` when nobody is there to ask.
    async fn bundle(&self, name: &str) -> Result<Arc<Bundle>>;
}
