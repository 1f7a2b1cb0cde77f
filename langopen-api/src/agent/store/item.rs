use langopen_core::model::StoreItem;
use langopen_core::{RawJson, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A document under a namespace and a key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Item {
    namespace: Vec<String>,
    key: String,
    #[schema(value_type = Object)]
    value: RawJson,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The item's similarity to the query. Only answers to searches have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    score: Option<Option<f64>>,
}

impl Item {
    pub(super) fn scored(mut self, score: Option<f64>) -> Self {
        self.score = Some(score);
        self
    }
}

impl From<StoreItem> for Item {
    fn from(item: StoreItem) -> Self {
        Self {
            namespace: item.namespace,
            key: item.key,
            value: item.value,
            created_at: item.created_at,
            updated_at: item.updated_at,
            score: None,
        }
    }
}
