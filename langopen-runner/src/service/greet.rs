//! Authenticates clients.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use langopen_core::Tenant;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::Framed;

use super::{RunnerError, RunnerServiceSettings};
use crate::config::Secret;
use crate::frame::payload::from_json;
use crate::frame::{Frame, FrameCodec, Kind};
use crate::greeting::{ClientHello, RUNNER_PROTOCOL, Refused};

/// How long a client may take to authenticate.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection with or without TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(super) type Connection = Framed<Box<dyn Duplex>, FrameCodec>;

/// Authenticates clients by certificate and token.
pub(super) struct Door {
    settings: RunnerServiceSettings,
    acceptor: Option<TlsAcceptor>,
}

/// A client that has authenticated.
pub(super) struct Client {
    pub(super) name: String,
    pub(super) serves_api: bool,
    pub(super) delivers_webhooks: bool,
}

impl Door {
    pub(super) fn new(settings: RunnerServiceSettings, address: SocketAddr) -> Result<Self, RunnerError> {
        settings.check(address)?;
        let acceptor = settings.tls.as_ref().map(|tls| tls.acceptor()).transpose()?;
        Ok(Self { settings, acceptor })
    }

    pub(super) fn tenant(&self) -> &Tenant {
        &self.settings.tenant
    }

    pub(super) fn settings(&self) -> &RunnerServiceSettings {
        &self.settings
    }

    /// Authenticates a connection; otherwise returns the reason, which the client receives too.
    pub(super) async fn greet(&self, stream: TcpStream) -> Result<(Client, Connection), String> {
        let greeted = async {
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let stream: Box<dyn Duplex> = match &self.acceptor {
                None => Box::new(stream),
                Some(acceptor) => Box::new(acceptor.accept(stream).await.map_err(|error| error.to_string())?),
            };
            let mut connection = Framed::new(stream, FrameCodec::for_stranger());
            match self.ask(&mut connection).await {
                Ok(client) => {
                    connection.codec_mut().trust();
                    Ok((client, connection))
                }
                Err(why) => {
                    refuse(&mut connection, &why).await;
                    Err(why)
                }
            }
        };
        match tokio::time::timeout(PATIENCE, greeted).await {
            Ok(greeted) => greeted,
            Err(_) => Err(format!("it did not authenticate within {} s", PATIENCE.as_secs())),
        }
    }

    async fn ask(&self, connection: &mut Connection) -> Result<Client, String> {
        let frame = match connection.next().await {
            Some(Ok(frame)) if frame.kind == Kind::Hello => frame,
            Some(Ok(_)) => return Err("it did not begin with HELLO".to_owned()),
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("it closed the connection".to_owned()),
        };
        let hello: ClientHello =
            from_json("runner.hello", &frame.payload).map_err(|_| "its HELLO cannot be decoded".to_owned())?;
        if let Some(token) = &self.settings.token
            && !knows(token, hello.token.as_deref())
        {
            return Err("its token is not the runner's".to_owned());
        }
        if hello.protocol != RUNNER_PROTOCOL {
            return Err(format!("it speaks version {}, this runner version {RUNNER_PROTOCOL}", hello.protocol));
        }
        let ClientHello { name, serves_api, delivers_webhooks, .. } = hello;
        Ok(Client { name, serves_api, delivers_webhooks })
    }
}

/// Sends the reason to the client, which may not receive it.
pub(super) async fn refuse(connection: &mut Connection, why: &str) {
    let refused = Refused { error: "Refused".to_owned(), message: why.to_owned() };
    if let Ok(payload) = serde_json::to_vec(&refused) {
        let _ = connection.send(Frame::new(Kind::Fatal, 0, payload)).await;
    }
}

/// Compares in constant time, whatever the client sent: it compares whole digests.
fn knows(token: &Secret, sent: Option<&str>) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    let same = digest(token.expose()).ct_eq(&digest(sent.unwrap_or_default()));
    bool::from(same) && sent.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_known() {
        let token = Secret::from("open sesame".to_owned());
        assert!(knows(&token, Some("open sesame")));
        for sent in [None, Some(""), Some("open sesam"), Some("open sesame ")] {
            assert!(!knows(&token, sent), "{sent:?}");
        }
        assert!(!knows(&Secret::from(String::new()), None));
    }
}
