//! The data stores. This program starts its own, so that it can break each of them.

mod disk;
mod postgres;
mod proxy;
mod redis;

use std::net::TcpListener;

use rand::RngExt;

use crate::error::{Result, io};

pub(crate) use disk::SmallDisk;
pub(crate) use postgres::{Postgres, Shutdown};
pub(crate) use proxy::Proxy;
pub(crate) use redis::Redis;

/// Ports below the range that systems assign to outgoing connections. Otherwise a connection could take a server's port
/// while the server is down.
const PORTS: std::ops::Range<u16> = 15_000..30_000;

/// A port that is free now.
pub(crate) fn free_port() -> Result<u16> {
    const TRIES: usize = 100;
    let mut tries = (0..TRIES).map(|_| rand::rng().random_range(PORTS));
    let free = tries.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.ok_or_else(|| io("a free port")(std::io::ErrorKind::AddrInUse.into()))
}
