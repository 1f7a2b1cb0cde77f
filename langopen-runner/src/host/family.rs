//! Finds and kills the processes that a graph host started.
//!
//! A graph may start processes, move them into other sessions, and end their parents. On Linux, the runner finds them
//! by four marks: their session or group is the host's, an ancestor is the host, they were seen below the host earlier,
//! or their environment names the host. On other systems it knows only the group.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The variable that identifies the host in the environments of the processes below it.
pub(super) const MARK: &str = "LANGOPEN_HOST_ID";

/// The most searches for processes that were started while others were killed, and the pause between two searches.
const ROUNDS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// The processes below one host.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    host: i32,
    /// The entry of the environment: name, equals sign, value.
    mark: Vec<u8>,
    /// Processes that were seen below the host, with their start times. The start time distinguishes a process from a
    /// later one with the same pid.
    seen: HashMap<i32, u64>,
}

/// One entry of the process table.
struct Entry {
    parent: i32,
    group: i32,
    session: i32,
    start: u64,
    /// Whether it has ended and its parent has not collected it yet.
    over: bool,
}

impl Family {
    pub(super) fn new(host: u32, id: &str) -> Self {
        let mark = format!("{MARK}={id}").into_bytes();
        // A pid of 0, which no process has, stands for a host that has ended.
        Self { host: i32::try_from(host).unwrap_or(0), mark, seen: HashMap::new() }
    }

    /// Records the processes below the host. It reads a few small files, and no files of unrelated processes.
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

    /// Kills the host and all processes that it started. When it returns, all of them have ended, except for processes
    /// that the system cannot kill.
    pub(crate) async fn end(mut self) {
        for _ in 0..ROUNDS {
            let round = tokio::task::spawn_blocking(move || {
                let alive = self.kill();
                (self, alive)
            });
            // The call fails only while the runtime shuts down. Dropping the process has then killed the group.
            let Ok((family, alive)) = round.await else { return };
            if alive == 0 {
                return;
            }
            self = family;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Kills the host's group at once, without a search for other processes.
    pub(crate) fn kill_group(&self) {
        if let Some(host) = Pid::from_raw(self.host).filter(|_| self.host > 1) {
            // The group may have ended already.
            let _ = kill_process_group(host, Signal::KILL);
        }
    }

    /// Kills all members of the family that it finds; returns how many were alive.
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
        // Any descendant of a member is a member, over any number of generations.
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
                // The process may have ended meanwhile.
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

/// All processes of the system, by pid.
fn table() -> HashMap<i32, Entry> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, entry(pid)?))).collect()
}

fn entry(pid: i32) -> Option<Entry> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may contain any character, including parentheses.
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

/// The living children of a process, as far as the system reports them.
fn children(pid: i32) -> Vec<i32> {
    let threads =
        std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}
