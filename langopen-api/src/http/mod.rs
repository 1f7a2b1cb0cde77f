//! The HTTP layer that all APIs share: extractors, errors, access, streams and limits.

pub(crate) mod access;
pub(crate) mod cors;
pub(crate) mod entries;
pub(crate) mod error;
pub(crate) mod extract;
pub(crate) mod fallback;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod observe;
pub(crate) mod pages;
pub(crate) mod rate;
pub(crate) mod reached;
pub(crate) mod sse;
pub(crate) mod unread;
