//! A proxy between two processes that can cut and delay connections.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Result, io};

/// What the proxy lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    /// The proxy holds all bytes back.
    held: bool,
    /// The proxy refuses new connections.
    closed: bool,
    /// Connections of earlier generations are cut.
    generation: u64,
}

/// Listens on a port, and forwards connections to another port.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    way: Arc<watch::Sender<Way>>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io("a proxy"))?;
        let port = listener.local_addr().map_err(io("a proxy"))?.port();
        let way = Arc::new(watch::Sender::new(Way { held: false, closed: false, generation: 0 }));
        let task = tokio::spawn(accept(listener, SocketAddr::from(([127, 0, 0, 1], to)), Arc::clone(&way)));
        Ok(Self { port, way, _task: AbortOnDropHandle::new(task) })
    }

    /// Cuts all connections. New ones are accepted.
    pub(crate) fn cut(&self) {
        self.way.send_modify(|way| way.generation += 1);
    }

    /// Cuts all connections and refuses new ones, or accepts them again.
    pub(crate) fn close(&self, close: bool) {
        self.way.send_modify(|way| {
            way.closed = close;
            way.generation += u64::from(close);
        });
    }

    /// Holds all bytes back without cutting connections, or lets them through again.
    pub(crate) fn hold(&self, hold: bool) {
        self.way.send_modify(|way| way.held = hold);
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, way: Arc<watch::Sender<Way>>) {
    loop {
        let Ok((inner, _)) = listener.accept().await else { continue };
        if way.borrow().closed {
            continue;
        }
        let mut seen = way.subscribe();
        tokio::spawn(async move {
            let Ok(outer) = TcpStream::connect(to).await else { return };
            let born = seen.borrow().generation;
            let (there, back) = (seen.clone(), seen.clone());
            let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
            let ((from_inner, to_inner), (from_outer, to_outer)) = (inner.into_split(), outer.into_split());
            let cut = seen.wait_for(|way| way.generation != born);
            tokio::select! {
                _ = pass(from_inner, to_outer, there) => {}
                _ = pass(from_outer, to_inner, back) => {}
                _ = cut => {}
            }
        });
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut bytes).await?;
        // Bytes that were read while the proxy holds back arrive late, as on a real network.
        let _ = way.wait_for(|way| !way.held).await;
        match read {
            0 => return to.shutdown().await,
            read => to.write_all(&bytes[..read]).await?,
        }
    }
}
