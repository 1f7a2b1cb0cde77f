//! The data stores: each of this program's own, and each may be broken.

mod disk;
mod postgres;
mod proxy;
mod redis;

use std::net::TcpListener;

use crate::error::{Result, io};

pub(crate) use disk::SmallDisk;
pub(crate) use postgres::{Postgres, Shutdown};
pub(crate) use proxy::Proxy;
pub(crate) use redis::Redis;

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(io("a free port"))?;
    Ok(listener.local_addr().map_err(io("a free port"))?.port())
}
