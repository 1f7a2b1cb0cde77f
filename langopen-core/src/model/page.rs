//! Types of all searches.

use serde::{Deserialize, Serialize};

/// One page of a search.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows, in the requested order.
    pub items: Vec<T>,
    /// Whether more rows follow this page.
    pub more: bool,
}

/// The direction of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SortOrder {
    /// Smallest first.
    Asc,
    /// Greatest first.
    #[default]
    Desc,
}

/// What a create does when the id is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IfExists {
    /// Fail with [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists).
    #[default]
    Raise,
    /// Return the existing row, unchanged.
    DoNothing,
}
