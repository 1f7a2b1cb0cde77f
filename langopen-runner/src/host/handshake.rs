//! The first frames of a connection: HELLO, INIT, and READY or FATAL.

use futures::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio_util::codec::Framed;
use tracing::debug;

use super::logs::cut;
use super::process::{HostError, HostSpec};
use crate::frame::payload::{Fatal, Hello, Log, Ready, from_json};
use crate::frame::{Frame, FrameCodec, Kind};

/// The version of the protocol between this crate and its hosts.
const PROTOCOL: u32 = 2;

pub(super) type Connection = Framed<UnixStream, FrameCodec>;

/// Checks that the peer is the host that this process started; returns its version of langgraph.
pub(super) async fn greet(connection: &mut Connection, token: &str) -> Result<String, HostError> {
    let frame = next(connection).await?;
    if frame.kind != Kind::Hello {
        return Err(HostError::Protocol(format!("it began with {:?} instead of HELLO", frame.kind)));
    }
    let hello: Hello =
        from_json("host.hello", &frame.payload).map_err(|error| HostError::Protocol(error.to_string()))?;
    if hello.token != token {
        return Err(HostError::Protocol("it did not send the token that its process was given".to_owned()));
    }
    if hello.protocol != PROTOCOL {
        return Err(HostError::Protocol(format!(
            "it speaks version {}, this runner version {PROTOCOL}",
            hello.protocol
        )));
    }
    let (python, node) = (hello.python_version, hello.node_version);
    debug!(python, node, langgraph = hello.langgraph_version, "a graph host connected");
    Ok(hello.langgraph_version)
}

/// Makes the host load the graphs and the web app.
pub(super) async fn load(connection: &mut Connection, spec: &HostSpec) -> Result<Ready, HostError> {
    let init = serde_json::to_vec(&spec.init).map_err(|error| HostError::Protocol(error.to_string()))?;
    connection.send(Frame::new(Kind::Init, 0, init)).await.map_err(|error| HostError::Protocol(error.to_string()))?;
    loop {
        let frame = next(connection).await?;
        let wrong = |error: langopen_core::Error| HostError::Protocol(error.to_string());
        match frame.kind {
            Kind::Ready => {
                return from_json("host.ready", &frame.payload).map_err(wrong);
            }
            Kind::Fatal => {
                let fatal: Fatal = from_json("host.fatal", &frame.payload).map_err(wrong)?;
                return Err(HostError::Load(Box::new(fatal.into())));
            }
            Kind::Log => {
                if let Ok(log) = from_json::<Log>("host.log", &frame.payload) {
                    tracing::info!(target: "langopen::graph", source = cut(&log.source), "{}", cut(&log.message));
                }
            }
            other => return Err(HostError::Protocol(format!("it sent {other:?} while loading"))),
        }
    }
}

async fn next(connection: &mut Connection) -> Result<Frame, HostError> {
    match connection.next().await {
        Some(Ok(frame)) => Ok(frame),
        Some(Err(error)) => Err(HostError::Protocol(error.to_string())),
        None => Err(HostError::Protocol("it closed the connection".to_owned())),
    }
}
