//! PgBouncer.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use crate::certificates::Authority;
use crate::error::{Error, Result};
use crate::local;

/// A PgBouncer in transaction mode before a Postgres, with two connections to each of its databases: each transaction gets another one. It ends with this.
pub struct PgBouncer {
    _process: Child,
    port: u16,
    /// How its URLs speak of TLS.
    tls: String,
    _folder: TempDir,
}

/// Where the program is; `None` on a machine without it, except where the tests must be whole.
fn program() -> Option<&'static str> {
    let found =
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "install pgbouncer: the tests need it");
        eprintln!("pgbouncer is not installed: what happens behind it is not tested");
    }
    found
}

impl PgBouncer {
    /// Before the server of the URL. `None` where it is not installed.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn before(server: &str) -> Option<Self> {
        let program = program()?;
        Some(Self::start(server, program, None).await.unwrap_or_else(|error| panic!("{error}")))
    }

    /// The same, over TLS alone, with a certificate of the authority's.
    ///
    /// # Panics
    /// When it does not start.
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
        // It does not run as root.
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
        // Its log must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Ok(Self { _process: process, port, tls, _folder: folder })
    }

    /// A database's URL through it, which says that a pooler is there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://someone@127.0.0.1:{}/{database}?pooler=true&{}", self.port, self.tls)
    }
}
