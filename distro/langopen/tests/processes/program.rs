//! Runs a program and reads its output.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// A running program. Dropping it kills it.
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    said: watch::Receiver<Vec<String>>,
    logged: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts a program with these variables. It inherits none of the platform's own variables.
    pub(crate) fn start(name: &'static str, path: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(path);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("LANGOPEN_") || name.starts_with("DATABASE_") || name.starts_with("REDIS_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(variables.iter().copied());
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = child.unwrap();
        let (tell, said) = watch::channel(Vec::new());
        let logged = Arc::<Mutex<Vec<String>>>::default();
        read(child.stdout.take().unwrap(), move |line| tell.send_modify(|lines| lines.push(line)));
        read(child.stderr.take().unwrap(), {
            let logged = Arc::clone(&logged);
            move |line| logged.lock().push(line)
        });
        Self { name, child, said, logged }
    }

    /// Waits for an output line with this subject, and returns the line's text.
    pub(crate) async fn says(&mut self, subject: &str) -> String {
        let find = |lines: &Vec<String>| {
            lines.iter().find_map(|line| Some(line.trim_start().strip_prefix(subject)?.trim_start().to_owned()))
        };
        let found = self.said.wait_for(|lines| find(lines).is_some()).await.map(|lines| find(&lines));
        match found {
            Ok(text) => text.unwrap(),
            Err(_) => panic!("{} ended without saying {subject}:\n{}", self.name, self.logged.lock().join("\n")),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(id.unwrap(), signal).unwrap();
    }

    /// Waits until the program ends by itself.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.logged.lock().join("\n")
    }
}

fn read(pipe: impl AsyncRead + Send + Unpin + 'static, mut line: impl FnMut(String) + Send + 'static) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(text)) = lines.next_line().await {
            line(text);
        }
    });
}

/// Repeats the attempt until it returns a value.
pub(crate) async fn until<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
