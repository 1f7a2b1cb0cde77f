//! What shows that a backend keeps its promises.
//!
//! - [`conformance`]: the suite that every backend of LangOpen passes, and that yours can run.
//! - [`chaos`]: a decorator over every trait that makes parts fail on purpose, driven by a seed.

#![forbid(unsafe_code)]

pub mod chaos;
pub mod conformance;
