//! Every kind of fault.

use crate::error::{Error, Result};
use crate::platform::{Kind, Platform};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `kill -9`, and a new start a while later.
    Kill(Kind),
    /// SIGTERM, and a new start.
    Stop(Kind),
    /// SIGSTOP, and SIGCONT when every lease is over.
    Hold(Kind),
    /// `kill -9` of a graph host.
    KillHost,
    /// SIGSTOP of a graph host, and SIGCONT.
    HoldHost,
    /// Postgres stops in order, and starts.
    RestartPostgres,
    /// Postgres stops as in a crash, and starts.
    CrashPostgres,
    /// Redis stops in order, and starts.
    RestartRedis,
    /// `kill -9` of Redis, and a new start.
    KillRedis,
    /// All connections from one process to one other break.
    Cut,
    /// One process cannot reach one other.
    Close,
    /// What one process sends to one other arrives late, and the answers too.
    Stall,
    /// The disk of Postgres is full.
    FullDisk,
    /// The platform's clock jumps.
    ClockJump,
    /// The clock of one process, and of its graph hosts, jumps, and stays there.
    Skew,
}

impl Fault {
    const ALL: [Self; 24] = [
        Self::Kill(Kind::ApiServer),
        Self::Kill(Kind::Worker),
        Self::Kill(Kind::Runner),
        Self::Kill(Kind::Up),
        Self::Stop(Kind::ApiServer),
        Self::Stop(Kind::Worker),
        Self::Stop(Kind::Runner),
        Self::Stop(Kind::Up),
        Self::Hold(Kind::ApiServer),
        Self::Hold(Kind::Worker),
        Self::Hold(Kind::Runner),
        Self::Hold(Kind::Up),
        Self::KillHost,
        Self::HoldHost,
        Self::RestartPostgres,
        Self::CrashPostgres,
        Self::RestartRedis,
        Self::KillRedis,
        Self::Cut,
        Self::Close,
        Self::Stall,
        Self::FullDisk,
        Self::ClockJump,
        Self::Skew,
    ];

    pub(crate) fn name(self) -> String {
        let of = |what: &str, kind: Kind| {
            let kind = match kind {
                Kind::ApiServer => "api-server",
                Kind::Worker => "worker",
                Kind::Runner => "runner",
                Kind::Up => "up",
            };
            format!("{what}-{kind}")
        };
        match self {
            Self::Kill(kind) => of("kill", kind),
            Self::Stop(kind) => of("stop", kind),
            Self::Hold(kind) => of("hold", kind),
            Self::KillHost => "kill-host".to_owned(),
            Self::HoldHost => "hold-host".to_owned(),
            Self::RestartPostgres => "restart-postgres".to_owned(),
            Self::CrashPostgres => "crash-postgres".to_owned(),
            Self::RestartRedis => "restart-redis".to_owned(),
            Self::KillRedis => "kill-redis".to_owned(),
            Self::Cut => "cut".to_owned(),
            Self::Close => "close".to_owned(),
            Self::Stall => "stall".to_owned(),
            Self::FullDisk => "full-disk".to_owned(),
            Self::ClockJump => "clock-jump".to_owned(),
            Self::Skew => "skew".to_owned(),
        }
    }

    /// How often it is chosen, compared with others.
    pub(super) fn weight(self) -> u32 {
        match self {
            Self::Kill(_) | Self::Cut => 3,
            Self::RestartPostgres | Self::CrashPostgres | Self::FullDisk => 1,
            _ => 2,
        }
    }

    fn is_possible(self, platform: &Platform) -> bool {
        match self {
            Self::Kill(kind) | Self::Stop(kind) | Self::Hold(kind) => {
                platform.nodes.iter().any(|node| node.kind == kind)
            }
            Self::KillHost | Self::HoldHost | Self::ClockJump => true,
            Self::Skew => platform.skews(),
            Self::RestartPostgres | Self::CrashPostgres => platform.postgres.is_some(),
            Self::RestartRedis | Self::KillRedis => platform.redis.is_some(),
            Self::Cut | Self::Close | Self::Stall => platform.nodes.iter().any(|node| !node.links.is_empty()),
            Self::FullDisk => platform.postgres.as_ref().is_some_and(|postgres| postgres.disk.is_some()),
        }
    }
}

/// The faults that this platform can have, or those of them that are `wanted` by name.
///
/// # Errors
/// For a name that no fault has.
pub(crate) fn available(platform: &Platform, wanted: &[String]) -> Result<Vec<Fault>> {
    if let Some(unknown) = wanted.iter().find(|name| Fault::ALL.iter().all(|fault| fault.name() != **name)) {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        return Err(Error::Fault(unknown.clone(), names.join(", ")));
    }
    let chosen = |fault: &Fault| wanted.is_empty() || wanted.contains(&fault.name());
    Ok(Fault::ALL.into_iter().filter(|fault| fault.is_possible(platform) && chosen(fault)).collect())
}
