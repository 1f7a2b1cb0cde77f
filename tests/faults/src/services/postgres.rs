//! A Postgres that belongs to this program.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};
use tokio::process::Command;

use super::{SmallDisk, free_port};
use crate::error::{Error, Result, io};
use crate::process::{run, signal};

/// The way in which Postgres stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// Postgres closes its connections and writes all data.
    Fast,
    /// Postgres stops as in a crash. The next start recovers.
    Immediate,
}

/// A Postgres that belongs to this program. Dropping it stops the server.
#[derive(Debug)]
pub(crate) struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    pub(crate) port: u16,
    /// The disk of its data, if that disk can be filled.
    pub(crate) disk: Option<SmallDisk>,
}

/// As durable as in production, because these tests include crashes.
const OPTIONS: &str = "-c listen_addresses=127.0.0.1 -c max_connections=200 -c max_wal_size=128MB -c min_wal_size=32MB -c wal_keep_size=0";

/// Enough space for the data, and for twice the maximum WAL size.
const DISK_MIB: u64 = 768;

impl Postgres {
    pub(crate) async fn start(folder: PathBuf) -> Result<Self> {
        let user = unprivileged()?;
        std::fs::create_dir_all(&folder).map_err(io(format!("{}", folder.display())))?;
        let disk = user.and_then(|_| SmallDisk::mount(&folder, DISK_MIB));
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).map_err(io("chown"))?;
        }
        let postgres = Self { programs: programs()?, user, port: free_port()?, disk, folder };
        let data = postgres.data();
        let make = ["-U", "langopen", "--auth=trust", "-E", "UTF8", "--locale=C", "--wal-segsize=16", "-D"];
        let mut initdb = postgres.command("initdb");
        initdb.args(make).arg(&data);
        run(initdb).await?;
        postgres.up().await?;
        Ok(postgres)
    }

    /// Starts the server. Fails if it cannot start, for example on a full disk.
    pub(crate) async fn up(&self) -> Result<()> {
        let options = format!("{OPTIONS} -p {} -k {}", self.port, self.folder.display());
        let mut start = self.command("pg_ctl");
        start.arg("-D").arg(self.data()).args(["-w", "-t", "120", "-o", &options, "-l"]);
        start.arg(self.folder.join("log")).arg("start").process_group(0);
        run(start).await.map(drop)
    }

    pub(crate) async fn down(&self, shutdown: Shutdown) {
        let mode = match shutdown {
            Shutdown::Fast => "fast",
            Shutdown::Immediate => "immediate",
        };
        let mut stop = self.command("pg_ctl");
        stop.arg("-D").arg(self.data()).args(["-w", "-t", "60", "-m", mode, "stop"]);
        // The server may be down already.
        let _ = run(stop).await;
    }

    /// Whether the server's process exists.
    pub(crate) async fn is_up(&self) -> bool {
        let mut status = self.command("pg_ctl");
        status.arg("-D").arg(self.data()).arg("status");
        run(status).await.is_ok()
    }

    /// The result of a query, with one line for each row.
    pub(crate) async fn ask(&self, sql: &str) -> Result<String> {
        let mut psql = self.command("psql");
        let port = self.port.to_string();
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "langopen", "-d", "postgres", "-AtXq", "-c", sql]);
        run(psql).await
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = std::process::Command::new(self.programs.join(program));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(&self.folder);
        command.into()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let first_line = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        if let Some(pid) = first_line.lines().next().and_then(|pid| Pid::from_raw(pid.parse().ok()?)) {
            signal(pid, Signal::QUIT);
        }
    }
}

/// The folder of the newest installed Postgres' programs. Debian does not add it to PATH.
fn programs() -> Result<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = installed.filter(|path| path.join("bin/initdb").is_file()).max_by_key(|path| version(path));
    let found = newest.map(|path| path.join("bin"));
    let found = found.or_else(|| Some(which::which("initdb").ok()?.parent()?.to_owned()));
    found.ok_or(Error::Missing { program: "initdb".to_owned(), hint: "apt-get install postgresql" })
}

/// The user that runs Postgres, if this process is root: Postgres refuses to run as root.
fn unprivileged() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").map_err(io("/etc/passwd"))?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2);
        Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
    };
    let missing = || Error::Missing { program: "an unprivileged user".to_owned(), hint: "add the user postgres" };
    find("postgres").or_else(|| find("nobody")).map(Some).ok_or_else(missing)
}
