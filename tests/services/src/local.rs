//! Starts servers from programs that are installed on this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::error::{Error, Result};
use crate::{DATABASE_URL, REDIS_URL, guard};

/// Options that trade durability for speed: test databases need not survive a power cut.
const POSTGRES_OPTIONS: &str =
    "-c fsync=off -c full_page_writes=off -c max_connections=300 -c listen_addresses=127.0.0.1";

pub(crate) async fn postgres() -> Result<String> {
    blocking(start_postgres).await
}

pub(crate) async fn redis() -> Result<String> {
    blocking(start_redis).await
}

async fn blocking(start: fn() -> Result<String>) -> Result<String> {
    spawn_blocking(start).await.map_err(|error| failed("the start", error))?
}

fn start_postgres() -> Result<String> {
    start_own_postgres().map(|postgres| postgres.url())
}

/// A running Postgres, and how to control it.
#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    pg_ctl: PathBuf,
    folder: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
}

impl Postgres {
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The path of its log.
    pub(crate) fn log(&self) -> String {
        self.folder.join("log").display().to_string()
    }

    /// Runs `pg_ctl` on it.
    pub(crate) fn control(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.pg_ctl);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(&self.folder).arg("-D").arg(self.folder.join("data")).arg("-w").args(arguments);
        run(command.process_group(0)).map(drop)
    }
}

pub(crate) fn start_own_postgres() -> Result<Postgres> {
    let folder = folder()?;
    let data = folder.join("data").display().to_string();
    let (initdb, pg_ctl) = (postgres_program("initdb")?, postgres_program("pg_ctl")?);
    // Postgres refuses to run as root.
    let user = unprivileged()?;
    if let Some((uid, gid)) = user {
        chown(&folder, Some(uid), Some(gid)).map_err(|error| failed("chown", error))?;
    }
    let as_user = |program: &Path| {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(&folder);
        command
    };
    run(as_user(&initdb).args(["-D", &data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "-N"]))?;
    let port = free_port()?;
    let options = format!("{POSTGRES_OPTIONS} -p {port} -k {}", folder.display());
    let log = folder.join("log").display().to_string();
    let start = ["-D", &data, "-w", "-l", &log, "-o", &options, "start"];
    run(as_user(&pg_ctl).args(start).process_group(0))?;
    let at_end = r#"kill -INT "$(head -n 1 "$1/data/postmaster.pid")"; sleep 1; rm -rf "$1""#;
    guard::at_end(at_end, &[&folder.display().to_string()])?;
    Ok(Postgres { pg_ctl, folder, user, port })
}

pub(crate) fn redis_program() -> Result<PathBuf> {
    let missing =
        Error::Missing { service: "Redis", variable: REDIS_URL, program: "redis-server", package: "redis-server" };
    which::which("redis-server").map_err(|_| missing)
}

fn start_redis() -> Result<String> {
    let program = redis_program()?;
    let folder = folder()?;
    let port = free_port()?;
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(&folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let server = command.spawn().map_err(|source| Error::Run { program: "redis-server".to_owned(), source })?;
    let folder = folder.display().to_string();
    guard::at_end(r#"kill "$1"; sleep 1; rm -rf "$2""#, &[&server.id().to_string(), &folder])?;
    let mut tries = 0;
    while let Err(error) = ping(port) {
        tries += 1;
        if tries > 200 {
            return Err(failed("redis-server", error));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(format!("redis://127.0.0.1:{port}"))
}

fn ping(port: u16) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    connection.read_exact(&mut answer)?;
    match &answer {
        b"+PONG\r\n" => Ok(()),
        other => Err(std::io::Error::other(String::from_utf8_lossy(other).into_owned())),
    }
}

/// A folder that outlives this process. The guard removes it.
fn folder() -> Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("langopen-test-").tempdir();
    let folder = folder.map_err(|error| failed("a temporary folder", error))?.keep();
    let open = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&folder, open).map_err(|error| failed("chmod", error))?;
    Ok(folder)
}

/// A program of the newest installed Postgres. Debian does not put these programs on PATH.
fn postgres_program(name: &'static str) -> Result<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = installed.filter(|path| path.join("bin").join(name).is_file()).max_by_key(|path| version(path));
    let missing =
        Error::Missing { service: "Postgres", variable: DATABASE_URL, program: "initdb", package: "postgresql" };
    newest.map(|path| path.join("bin").join(name)).or_else(|| which::which(name).ok()).ok_or(missing)
}

/// If this process runs as root, the user and group id for the server to run as.
pub(crate) fn unprivileged() -> Result<Option<(u32, u32)>> {
    let id = |arguments: &[&str]| {
        let output = run(Command::new("id").args(arguments))?;
        output.trim().parse::<u32>().map_err(|error| failed("id", error))
    };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    let user = if id(&["-u", "postgres"]).is_ok() { "postgres" } else { "nobody" };
    Ok(Some((id(&["-u", user])?, id(&["-g", user])?)))
}

fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    // The server continues to run and must not hold the pipe of its output open.
    let printed = tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file.try_clone()?, file)));
    let (out, err, mut file) = printed.map_err(|error| failed("a temporary file", error))?;
    let status = command.stdin(Stdio::null()).stdout(out).stderr(err).status();
    let status = status.map_err(|source| Error::Run { program: program.clone(), source })?;
    let mut output = String::new();
    use std::io::Seek;
    file.rewind().and_then(|()| file.read_to_string(&mut output)).map_err(|error| failed(&program, error))?;
    match status.success() {
        true => Ok(output),
        false => Err(Error::Failed { program, output }),
    }
}

pub(crate) fn free_port() -> Result<u16> {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    Ok(port.map_err(|error| failed("a free port", error))?.port())
}

pub(crate) fn failed(program: &str, error: impl ToString) -> Error {
    Error::Failed { program: program.to_owned(), output: error.to_string() }
}
