//! Certificates of a test CA.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use uuid::Uuid;

/// A CA with its files in a folder. Dropping it deletes the folder.
pub struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Creates a CA.
    ///
    /// # Panics
    /// If the folder cannot be written.
    #[expect(clippy::new_without_default, reason = "it generates keys and writes files")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Unique names distinguish the certificates of different CAs.
        params.distinguished_name.push(DnType::CommonName, Uuid::new_v4().to_string());
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate of the CA");
        let this = Self { folder: tempfile::tempdir().expect("a folder"), issuer: Issuer::new(params, key) };
        write(&this.ca(), &cert.pem());
        this
    }

    /// The PEM file of the CA's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The PEM files of a certificate for 127.0.0.1 and of its key.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address is a name");
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let paths = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        write(&paths.0, &cert.pem());
        write(&paths.1, &key.serialize_pem());
        paths
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.folder.path(), name)
    }
}

fn write(path: &Path, pem: &str) {
    std::fs::write(path, pem).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
