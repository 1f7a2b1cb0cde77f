//! Services of the core over a real backend.

mod execution_context;
mod key_ring;
mod run_service;
