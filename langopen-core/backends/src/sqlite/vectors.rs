//! The vectors of store items, and the SQLite functions for them (sqlite-vec).

#![allow(unsafe_code, reason = "SQLite takes a statically linked extension as a C function")]

use std::ffi::{c_char, c_int};
use std::sync::Once;

use libsqlite3_sys::{sqlite3, sqlite3_api_routines, sqlite3_auto_extension};

type Extension = unsafe extern "C" fn(*mut sqlite3, *mut *mut c_char, *const sqlite3_api_routines) -> c_int;

/// Registers the functions of sqlite-vec for every connection that is opened afterwards.
pub(super) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `sqlite3_vec_init` is an extension's entry point. The crate declares it without its parameters, but
        // SQLite calls it with the usual ones. It is linked into this program, so it exists as long as SQLite does.
        let code = unsafe {
            let init = std::mem::transmute::<*const (), Extension>(sqlite_vec::sqlite3_vec_init as *const ());
            sqlite3_auto_extension(Some(init))
        };
        if code != 0 {
            tracing::error!(code, "SQLite refuses the vector functions; similarity searches of the store will fail");
        }
    });
}

/// Encodes a vector for its column.
pub(super) fn column(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|each| each.to_le_bytes()).collect()
}
