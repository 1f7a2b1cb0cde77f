//! The kinds of faults.

use crate::error::{Error, Result};
use crate::platform::{Kind, Platform};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `kill -9`, and a restart some time later.
    Kill(Kind),
    /// SIGTERM, and a restart.
    Stop(Kind),
    /// SIGSTOP, and SIGCONT after every lease has ended.
    Hold(Kind),
    /// `kill -9` of a graph host.
    KillHost,
    /// SIGSTOP of a graph host, and SIGCONT.
    HoldHost,
    /// Postgres shuts down cleanly, and restarts.
    RestartPostgres,
    /// Postgres stops as in a crash, and restarts.
    CrashPostgres,
    /// Redis shuts down cleanly, and restarts.
    RestartRedis,
    /// `kill -9` of Redis, and a restart.
    KillRedis,
    /// All connections from one process to another break.
    Cut,
    /// One process cannot reach another.
    Close,
    /// All data between one process and another arrives late.
    Stall,
    /// The disk of Postgres is full.
    FullDisk,
    /// The platform's clock jumps.
    ClockJump,
    /// The clock of one process and its graph hosts jumps, and keeps its new offset.
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

    /// The relative frequency of this fault.
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

/// The faults that are possible on this platform, restricted to the `wanted` names.
///
/// # Errors
/// If a name is unknown.
pub(crate) fn available(platform: &Platform, wanted: &[String]) -> Result<Vec<Fault>> {
    if let Some(unknown) = wanted.iter().find(|name| Fault::ALL.iter().all(|fault| fault.name() != **name)) {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        return Err(Error::Fault(unknown.clone(), names.join(", ")));
    }
    let chosen = |fault: &Fault| wanted.is_empty() || wanted.contains(&fault.name());
    Ok(Fault::ALL.into_iter().filter(|fault| fault.is_possible(platform) && chosen(fault)).collect())
}
