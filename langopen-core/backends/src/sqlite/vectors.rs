//! Vectors of store items, and SQLite's functions for them (sqlite-vec).

#![allow(unsafe_code, reason = "SQLite takes a statically linked extension as a C function")]

use std::ffi::{c_char, c_int};
use std::sync::Once;

use libsqlite3_sys::{sqlite3, sqlite3_api_routines, sqlite3_auto_extension};

type Extension = unsafe extern "C" fn(*mut sqlite3, *mut *mut c_char, *const sqlite3_api_routines) -> c_int;

/// Gives every connection that is opened from now on the functions of sqlite-vec.
pub(super) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `sqlite3_vec_init` is an extension's entry point, which the crate declares without its parameters; SQLite calls it with
        // those of every entry point. It is compiled into this program, so it is there for as long as SQLite is.
        let code = unsafe {
            let init = std::mem::transmute::<*const (), Extension>(sqlite_vec::sqlite3_vec_init as *const ());
            sqlite3_auto_extension(Some(init))
        };
        if code != 0 {
            tracing::error!(
                code,
                "SQLite does not take the vector functions: searches of the store by similarity will fail"
            );
        }
    });
}

/// A vector as its column holds it.
pub(super) fn column(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|each| each.to_le_bytes()).collect()
}
