//! Services of the core over a real backend.

mod key_ring;
mod run_service;
