//! What texts mean, as vectors: for searches of the store by similarity.

use async_trait::async_trait;

use crate::error::Result;
use crate::json::RawJson;
use crate::model::FieldVector;

/// Turns texts into vectors. An implementor must answer vectors of one length, the same for items and queries, and equal ones for equal texts.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// Embeds the texts of an item's value under `fields`, paths such as `text` or `chapters[*].title`; `None` for those that the application configured.
    ///
    /// # Errors
    /// `Invalid` for a path that cannot be read, `Graph` when the application's function fails, `Unavailable` when nobody is there to ask.
    async fn embed_value(&self, value: &RawJson, fields: Option<&[String]>) -> Result<Vec<FieldVector>>;

    /// Embeds the text of a query.
    ///
    /// # Errors
    /// As [`Embedder::embed_value`].
    async fn embed_query(&self, query: &str) -> Result<Vec<f32>>;
}
