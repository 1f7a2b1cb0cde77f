//! Certificates of runners and of their clients.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A runner's certificates, in PEM files. The runner reads them when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The runner's certificate and the intermediate ones up to its CA.
    pub cert: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
    /// The CA that client certificates must come from. With `None`, clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// The certificates that a client needs for `tls://` addresses, in PEM files. The client reads them when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// The CA that runners' certificates must come from.
    pub ca: PathBuf,
    /// The client's own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why certificates cannot be used. It contains no key.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

impl TlsError {
    fn new(path: &Path, why: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), why: why.to_string() }
    }
}

impl ServerTls {
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(&self.cert, error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider());
                let verifier = verifier.build().map_err(|error| TlsError::new(path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(certificates(&self.cert)?, key(&self.key)?);
        Ok(TlsAcceptor::from(Arc::new(config.map_err(|error| TlsError::new(&self.cert, error))?)))
    }
}

impl ClientTls {
    pub(crate) fn connector(&self) -> Result<TlsConnector, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(&self.ca, error))?
            .with_root_certificates(roots(&self.ca)?);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key_path)) => builder
                .with_client_auth_cert(certificates(cert)?, key(key_path)?)
                .map_err(|error| TlsError::new(cert, error))?,
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| TlsError::new(path, error))?;
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error| TlsError::new(path, format!("cannot be read as certificates: {error}"));
    let found: Vec<_> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(wrong)?;
    if found.is_empty() {
        return Err(TlsError::new(path, "holds no certificate"));
    }
    Ok(found)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| TlsError::new(path, format!("cannot be read as a private key: {error}")))
}
