//! PgBouncer in transaction mode between: each transaction gets another connection to the server.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;

use langopen_core::backend::postgres::{Postgres, PostgresOptions};
use langopen_core::conformance::Case;
use langopen_core::storage::*;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::super::{clock, run_all};
use super::{Database, backend};

/// A PgBouncer with two connections to the server.
struct PgBouncer {
    process: Child,
    port: u16,
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
    async fn before(database: &Database, program: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("its address").port();
        let server = url::Url::parse(database.url()).expect("a URL");
        let config = format!(
            "[databases]\n{name} = host={host} port={server_port} dbname={name} user={user}{password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n",
            name = database.name(),
            host = server.host_str().unwrap_or("127.0.0.1"),
            server_port = server.port().unwrap_or(5432),
            user = server.username(),
            password = server.password().map(|password| format!(" password={password}")).unwrap_or_default(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).expect("write the configuration");
        let mut command = Command::new(program);
        // It does not run as root.
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let mut process =
            command.arg(&file).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("start pgbouncer");
        let mut log = BufReader::new(process.stderr.take().expect("its log")).lines();
        let mut said = Vec::new();
        loop {
            match log.next_line().await.expect("its log") {
                Some(line) if line.contains("process up") => break,
                Some(line) => said.push(line),
                None => panic!("pgbouncer did not start: {said:#?}"),
            }
        }
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Self { process, port, _folder: folder }
    }

    fn url(&self, database: &Database) -> String {
        format!("postgres://someone@127.0.0.1:{}/{}?pooler=true&sslmode=disable", self.port, database.name())
    }

    async fn stop(mut self) {
        self.process.kill().await.expect("stop pgbouncer");
    }
}

/// The conformance suite behind a pooler: migrations too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_pooler_keeps_its_promises() {
    let Some(program) = program() else { return };
    let database = Database::empty().await;
    let pgbouncer = PgBouncer::before(&database, program).await;
    run_all(async |case: &'static Case| {
        let clock = clock();
        let options = PostgresOptions::default().with_clock(clock.clone()).with_connections(6);
        let db = Postgres::open(&pgbouncer.url(&database), options).await.expect("open");
        database.clear().await;
        (case.run)(backend(&db, clock)).await;
        db.close().await;
    })
    .await;
    pgbouncer.stop().await;
    database.assert_in_order().await;
    database.remove().await;
}

/// A pooler that was not named is refused, and how to name it is said.
#[tokio::test]
async fn a_pooler_is_named_in_the_url() {
    let Some(program) = program() else { return };
    let database = Database::new().await;
    let pgbouncer = PgBouncer::before(&database, program).await;
    let url = pgbouncer.url(&database);
    let error = Postgres::open(&url.replace("pooler=true&", ""), PostgresOptions::default()).await.unwrap_err();
    assert!(error.message().contains("?pooler=true"), "{error}");
    let db = Postgres::open(&url, PostgresOptions::default()).await.expect("open");
    let reads = (0..20).map(|_| db.list_deployments());
    assert!(futures::future::try_join_all(reads).await.expect("read").iter().all(Vec::is_empty));
    db.close().await;
    pgbouncer.stop().await;
    database.remove().await;
}
