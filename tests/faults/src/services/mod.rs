//! The data stores: each of this program's own, and each may be broken.

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

/// Below those that systems give to connections, which would take a port while its server is down.
const PORTS: std::ops::Range<u16> = 15_000..30_000;

/// A port that is free now.
pub(crate) fn free_port() -> Result<u16> {
    const TRIES: usize = 100;
    let mut tries = (0..TRIES).map(|_| rand::rng().random_range(PORTS));
    let free = tries.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.ok_or_else(|| io("a free port")(std::io::ErrorKind::AddrInUse.into()))
}
