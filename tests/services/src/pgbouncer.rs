//! PgBouncer.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use crate::certificates::Authority;
use crate::error::{Error, Result};
use crate::local;

/// A PgBouncer in transaction mode in front of a Postgres. It has two connections to each database, so successive
/// transactions may use different ones. Dropping it ends the process.
pub struct PgBouncer {
    _process: Child,
    port: u16,
    /// The TLS parameters of its URLs.
    tls: String,
    _folder: TempDir,
}

/// The program's path; `None` if PgBouncer is not installed. On CI this panics instead.
fn program() -> Option<&'static str> {
    let found =
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "install pgbouncer: the tests need it");
        eprintln!("pgbouncer is not installed: tests with PgBouncer are skipped");
    }
    found
}

impl PgBouncer {
    /// Starts a PgBouncer in front of the server with this URL; `None` if PgBouncer is not installed.
    ///
    /// # Panics
    /// If PgBouncer does not start.
    pub async fn before(server: &str) -> Option<Self> {
        let program = program()?;
        Some(Self::start(server, program, None).await.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Starts a PgBouncer that accepts only TLS, with a certificate of the authority.
    ///
    /// # Panics
    /// If PgBouncer does not start.
    pub async fn over_tls(server: &str, authority: &Authority) -> Option<Self> {
        let program = program()?;
        Some(Self::start(server, program, Some(authority)).await.unwrap_or_else(|error| panic!("{error}")))
    }

    async fn start(server: &str, program: &str, authority: Option<&Authority>) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| local::failed(program, error);
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let port = local::free_port()?;
        let server = Url::parse(server).map_err(|error| failed(&error))?;
        let config = format!(
            "[databases]\n* = host={host} port={server_port} user={user}{password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 300\n",
            host = server.host_str().unwrap_or("127.0.0.1"),
            server_port = server.port().unwrap_or(5432),
            user = server.username(),
            password = server.password().map(|password| format!(" password={password}")).unwrap_or_default(),
        );
        let (config, tls) = match authority {
            Some(authority) => {
                let (cert, key) = authority.issue("postgres");
                let tls = format!(
                    "client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\n",
                    cert.display(),
                    key.display()
                );
                (config + &tls, format!("sslmode=verify-full&sslrootcert={}", authority.ca().display()))
            }
            None => (config, "sslmode=disable".to_owned()),
        };
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).map_err(|error| failed(&error))?;
        let mut command = Command::new(program);
        // PgBouncer refuses to run as root.
        if local::unprivileged()?.is_some() {
            command.args(["-u", "nobody"]);
        }
        let process = command.arg(&file).stderr(Stdio::piped()).kill_on_drop(true).spawn();
        let mut process = process.map_err(|source| Error::Run { program: program.to_owned(), source })?;
        let mut log = process.stderr.take().map(|log| BufReader::new(log).lines()).ok_or_else(|| failed(&"no log"))?;
        let mut said = String::new();
        loop {
            match log.next_line().await.map_err(|error| failed(&error))? {
                Some(line) if line.contains("process up") => break,
                Some(line) => said = said + &line + "\n",
                None => return Err(failed(&said)),
            }
        }
        // Read the log, so that its pipe does not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Ok(Self { _process: process, port, tls, _folder: folder })
    }

    /// A database's URL through PgBouncer, with the parameter that announces a pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://someone@127.0.0.1:{}/{database}?pooler=true&{}", self.port, self.tls)
    }
}
