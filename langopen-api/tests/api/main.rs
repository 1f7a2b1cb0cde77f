//! Drives the router as clients do: with the memory backend, graphs that are Rust functions, and a small worker.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod a2a;
mod a2a_cancels;
mod a2a_cards;
mod a2a_lists;
mod a2a_streams;
mod a2a_tools;
mod access;
mod assistants;
mod coverage;
mod crons;
mod custom;
mod deployments;
mod documents;
mod fuzz;
mod harness;
mod held_up;
mod layers;
mod limits;
mod mcp;
mod meta;
mod metrics;
mod pages;
mod parity;
mod protocol;
mod protocol_socket;
mod refusals;
mod roles;
mod runs;
mod state;
mod store;
mod streams;
mod thread_stream;
mod threads;
mod unread;
mod webhooks;
