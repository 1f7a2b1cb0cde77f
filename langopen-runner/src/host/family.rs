//! The processes that a graph host started, and their end.
//!
//! A graph may start processes, put them into sessions of their own, and let their parents end. The runner finds them
//! by four marks: their session or group is the host's, an ancestor is the host, they were seen below the host earlier,
//! or their environment names the host. On Linux; elsewhere only the group is known.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The variable that names the host to the processes below it.
pub(super) const MARK: &str = "LANGOPEN_HOST_ID";

/// How often to look for processes that were started while others were killed, and the pause before the next look.
const ROUNDS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// The processes below one host.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    host: i32,
    /// As it stands in the environment: name, equals sign, value.
    mark: Vec<u8>,
    /// Processes that were seen below the host, with the time of their start, which tells them from a later process of
    /// the same number.
    seen: HashMap<i32, u64>,
}

/// One line of the table of processes.
struct Entry {
    parent: i32,
    group: i32,
    session: i32,
    start: u64,
    /// Whether it has ended and only waits for its parent to notice.
    over: bool,
}

impl Family {
    pub(super) fn new(host: u32, id: &str) -> Self {
        let mark = format!("{MARK}={id}").into_bytes();
        // A number that the system does not use stands for a host that is gone.
        Self { host: i32::try_from(host).unwrap_or(0), mark, seen: HashMap::new() }
    }

    /// Remembers what runs below the host now. It reads a few small files, and none of other processes.
    pub(crate) fn look(&mut self) {
        let mut below = vec![self.host];
        let mut known = HashSet::from([self.host]);
        while let Some(pid) = below.pop() {
            for child in children(pid) {
                if known.insert(child)
                    && let Some(entry) = entry(child)
                {
                    self.seen.insert(child, entry.start);
                    below.push(child);
                }
            }
        }
        let (seen, known) = (&mut self.seen, &known);
        seen.retain(|pid, start| known.contains(pid) || entry(*pid).is_some_and(|entry| entry.start == *start));
    }

    /// Kills the host and everything that it started. When it returns, all of them have ended, except for processes
    /// that the system cannot end.
    pub(crate) async fn end(mut self) {
        for _ in 0..ROUNDS {
            let round = tokio::task::spawn_blocking(move || {
                let alive = self.kill();
                (self, alive)
            });
            // Only a runtime that is about to end refuses; dropping the process has killed the group then.
            let Ok((family, alive)) = round.await else { return };
            if alive == 0 {
                return;
            }
            self = family;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Kills the host's group at once, without looking for anything else.
    pub(crate) fn kill_group(&self) {
        if let Some(host) = Pid::from_raw(self.host).filter(|_| self.host > 1) {
            // It may be gone already.
            let _ = kill_process_group(host, Signal::KILL);
        }
    }

    /// Kills all members that can be found; returns how many were alive.
    fn kill(&mut self) -> usize {
        self.kill_group();
        let table = table();
        let mut members: HashSet<i32> = HashSet::new();
        for (pid, entry) in &table {
            let of_the_host = self.host > 1 && [*pid, entry.session, entry.group].contains(&self.host);
            if of_the_host || self.seen.get(pid) == Some(&entry.start) || self.marks(*pid) {
                members.insert(*pid);
            }
        }
        // Whatever descends from a member is one, however many generations lie between.
        loop {
            let below = |(pid, entry): &(&i32, &Entry)| members.contains(&entry.parent) && !members.contains(*pid);
            let more: Vec<i32> = table.iter().filter(below).map(|(pid, _)| *pid).collect();
            if more.is_empty() {
                break;
            }
            members.extend(more);
        }
        members.remove(&own());
        let mut alive = 0;
        for pid in members {
            let Some(entry) = table.get(&pid) else { continue };
            self.seen.insert(pid, entry.start);
            if !entry.over
                && let Some(process) = Pid::from_raw(pid)
            {
                alive += 1;
                // It may have ended meanwhile.
                let _ = kill_process(process, Signal::KILL);
            }
        }
        alive
    }

    fn marks(&self, pid: i32) -> bool {
        let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
        environment.split(|byte| *byte == 0).any(|variable| variable == self.mark)
    }
}

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// All processes of the system, by number.
fn table() -> HashMap<i32, Entry> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, entry(pid)?))).collect()
}

fn entry(pid: i32) -> Option<Entry> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, also parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| -> Option<i32> { fields.get(index)?.parse().ok() };
    Some(Entry {
        over: matches!(fields.first(), Some(&("Z" | "X"))),
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// The processes that a process started and that have not ended, as far as the system tells.
fn children(pid: i32) -> Vec<i32> {
    let threads =
        std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}
