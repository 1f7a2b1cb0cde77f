//! Connects to a runner.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use langopen_core::Tenant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::codec::Framed;

use super::{RunnerSetSettings, RunnerUrl};
use crate::config::{AppSettings, Secret};
use crate::frame::payload::from_json;
use crate::frame::{Frame, FrameCodec, Kind};
use crate::greeting::{ClientHello, RUNNER_PROTOCOL, Refused, RunnerReady};
use crate::host::{HandleRange, Offer, Status};
use crate::tls::TlsError;

/// How long a runner may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a connection failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("it refused: {0}")]
    Refused(String),
    #[error("it cannot be used: {0}")]
    Protocol(String),
    #[error("it runs the deployment {found}, and the URL is for {wanted}: write {found}=tcp://... for its runners")]
    Deployment { found: Tenant, wanted: Tenant },
}

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(super) type Connection = Framed<Box<dyn Duplex>, FrameCodec>;

/// A runner's READY.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) tenant: Tenant,
    pub(super) handles: HandleRange,
    pub(super) offer: Arc<Offer>,
    pub(super) app: AppSettings,
    pub(super) webhook_headers: BTreeMap<String, Secret>,
    pub(super) status: Status,
}

/// Connects to runners.
pub(super) struct Dialer {
    settings: RunnerSetSettings,
    connector: Option<TlsConnector>,
}

impl Dialer {
    pub(super) fn new(settings: RunnerSetSettings) -> Result<Self, TlsError> {
        let connector = settings.tls.as_ref().map(|tls| tls.connector()).transpose()?;
        Ok(Self { settings, connector })
    }

    /// Connects to a runner at one of the addresses of `url`.
    pub(super) async fn dial(&self, url: &RunnerUrl, address: SocketAddr) -> Result<(Found, Connection), DialError> {
        let dialled = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Duplex> = match (url.tls, &self.connector) {
                (false, _) => Box::new(stream),
                (true, None) => return Err(DialError::Protocol("no CA for its certificate is named".to_owned())),
                (true, Some(connector)) => {
                    let name = ServerName::try_from(url.host.clone())
                        .map_err(|_| DialError::Protocol("its name cannot stand in a certificate".to_owned()))?;
                    Box::new(connector.connect(name, stream).await?)
                }
            };
            let mut connection = Framed::new(stream, FrameCodec::default());
            let expected = self.settings.expected(url);
            let found = self.greet(&mut connection, expected.as_ref()).await?;
            // Without this check, a runner that claims another deployment would receive its runs.
            match expected {
                Some(wanted) if wanted != found.tenant => Err(DialError::Deployment { found: found.tenant, wanted }),
                _ => Ok((found, connection)),
            }
        };
        tokio::time::timeout(PATIENCE, dialled).await.map_err(|_| DialError::Silent)?
    }

    async fn greet(&self, connection: &mut Connection, tenant: Option<&Tenant>) -> Result<Found, DialError> {
        let hello = ClientHello {
            protocol: RUNNER_PROTOCOL,
            token: self.settings.token_of(tenant).map(|token| token.expose().to_owned()),
            name: self.settings.name.clone(),
            serves_api: self.settings.serves_api,
            delivers_webhooks: self.settings.delivers_webhooks,
        };
        let wrong = |error: &dyn std::fmt::Display| DialError::Protocol(error.to_string());
        let hello = serde_json::to_vec(&hello).map_err(|error| wrong(&error))?;
        connection.send(Frame::new(Kind::Hello, 0, hello)).await?;
        let frame = match connection.next().await {
            Some(frame) => frame?,
            None => return Err(DialError::Protocol("it closed the connection".to_owned())),
        };
        match frame.kind {
            Kind::Ready => {}
            Kind::Fatal => {
                let refused: Refused = from_json("runner.refused", &frame.payload).map_err(|error| wrong(&error))?;
                return Err(DialError::Refused(refused.message));
            }
            other => return Err(DialError::Protocol(format!("it answered {other:?}"))),
        }
        let ready: RunnerReady = from_json("runner.ready", &frame.payload).map_err(|error| wrong(&error))?;
        if ready.protocol != RUNNER_PROTOCOL {
            let text = format!("it speaks version {}, this program version {RUNNER_PROTOCOL}", ready.protocol);
            return Err(DialError::Protocol(text));
        }
        let (first, last) = ready.handles;
        Ok(Found {
            name: ready.name,
            tenant: Tenant::parse(&ready.tenant).map_err(|error| wrong(&error))?,
            handles: HandleRange::new(first, last)
                .ok_or_else(|| wrong(&"the numbers that it leaves to us are none"))?,
            offer: Arc::new(ready.offer),
            app: ready.app,
            webhook_headers: ready.webhook_headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            status: ready.status,
        })
    }
}
