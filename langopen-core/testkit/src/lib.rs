#![doc = include_str!("../README.md")]
//!
//! # When to use which module
//!
//! Run [`conformance`] if you implement a trait of `langopen-core`. Each case checks one promise; its name and message
//! describe it. [`conformance::run`] tests one trait, [`conformance::run_all`] all of them, and
//! [`conformance::run_those`] the cases that you choose.
//!
//! Use [`chaos`] if you call the traits. It injects only failures that the traits permit. So if your code loses a run
//! or shows an event twice, the error is in your code.

#![forbid(unsafe_code)]

pub mod chaos;
pub mod conformance;
