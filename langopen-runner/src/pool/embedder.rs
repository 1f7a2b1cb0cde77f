//! The application's embedding, which graph hosts hold, as an [`Embedder`].

use async_trait::async_trait;
use langopen_core::model::FieldVector;
use langopen_core::{Embedder, RawJson, Result};
use serde::Serialize;

use super::{HostPool, Need, Work};

#[derive(Serialize)]
#[serde(tag = "method", content = "params")]
enum Question<'a> {
    #[serde(rename = "store.embed_value")]
    Value { value: &'a RawJson, fields: Option<&'a [String]> },
    #[serde(rename = "store.embed_query")]
    Query { query: &'a str },
}

/// Calls the function or provider in `store.index.embed`. Use it only if the pool's settings have a `store_index`.
#[async_trait]
impl Embedder for HostPool {
    async fn embed_value(&self, value: &RawJson, fields: Option<&[String]>) -> Result<Vec<FieldVector>> {
        let host = self.choose(Work::Question, Need::Embedding).await?;
        let vectors: Vec<(String, Vec<f32>)> = host.ask_app(&Question::Value { value, fields }).await?;
        Ok(vectors.into_iter().map(|(path, vector)| FieldVector { path, vector }).collect())
    }

    async fn embed_query(&self, query: &str) -> Result<Vec<f32>> {
        self.choose(Work::Question, Need::Embedding).await?.ask_app(&Question::Query { query }).await
    }
}
