//! Embeddings of texts, for searches of the store by similarity.

use async_trait::async_trait;

use crate::error::Result;
use crate::json::RawJson;
use crate::model::FieldVector;

/// Turns texts into vectors. All vectors of an implementor must have one length, for items and queries, and equal texts
/// must give equal vectors.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// Embeds the texts of an item's value under `fields`, which are paths such as `text` or `chapters[*].title`.
    /// `None` means the fields that the application configured.
    ///
    /// # Errors
    /// `Invalid` for a malformed path, `Graph` when the application's function fails, `Unavailable` when no graph host
    /// can answer.
    async fn embed_value(&self, value: &RawJson, fields: Option<&[String]>) -> Result<Vec<FieldVector>>;

    /// Embeds the text of a query.
    ///
    /// # Errors
    /// As [`Embedder::embed_value`].
    async fn embed_query(&self, query: &str) -> Result<Vec<f32>>;
}
