//! Components that an application brings and that its clients' pages show (generative user interfaces).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;

/// A script with components, and their style sheet. Different content has a different hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The SHA-256 of the files' content, in hexadecimal.
    pub hash: String,
    /// The global object that the script sets. Its function `render(component, shadowRootId)` renders a component into
    /// the page's placeholder.
    pub global: String,
    /// JavaScript.
    pub script: Bytes,
    /// CSS, if the components have some.
    pub style: Option<Bytes>,
}

/// Source of an application's components.
#[async_trait]
pub trait UserInterfaces: Send + Sync + 'static {
    /// The bundle of this name, most often a graph's id.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Graph` with file and line if the build failed, `Unavailable` when no graph host
    /// can answer.
    async fn bundle(&self, name: &str) -> Result<Arc<Bundle>>;
}
