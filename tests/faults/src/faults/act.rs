//! Makes a fault and repairs it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;

use super::Fault;
use crate::platform::{LEASE, Link, Node, Platform};
use crate::process::signal;
use crate::services::{Postgres, Shutdown};

/// A component that can have one fault at a time.
pub(super) type Target = String;

/// A chosen fault with its target, and the random numbers for its details.
pub(super) struct Chosen {
    pub(super) fault: Fault,
    pub(super) target: Target,
    node: usize,
    link: usize,
    dice: StdRng,
}

impl Chosen {
    /// Chooses the target of `fault`. `None` if no target is available now.
    pub(super) fn choose(platform: &Platform, fault: Fault, dice: &mut StdRng) -> Option<Self> {
        let fits = |node: &Node| match fault {
            Fault::Kill(kind) | Fault::Stop(kind) | Fault::Hold(kind) => node.kind == kind,
            Fault::KillHost | Fault::HoldHost => !node.hosts().is_empty(),
            Fault::Cut | Fault::Close | Fault::Stall => !node.links.is_empty(),
            _ => true,
        };
        let nodes: Vec<_> = (0..platform.nodes.len()).filter(|node| fits(&platform.nodes[*node])).collect();
        // The random numbers are always drawn, so that the plan does not depend on which processes are up.
        let (node, link) = (dice.random::<u32>() as usize, dice.random::<u32>() as usize);
        let dice = StdRng::seed_from_u64(dice.random());
        let node = *nodes.get(node.checked_rem(nodes.len())?)?;
        let link = link.checked_rem(platform.nodes[node].links.len()).unwrap_or(0);
        let target = match fault {
            Fault::RestartPostgres | Fault::CrashPostgres | Fault::FullDisk => "postgres".to_owned(),
            Fault::RestartRedis | Fault::KillRedis => "redis".to_owned(),
            Fault::ClockJump => "clock".to_owned(),
            Fault::Skew => format!("clock of {}", platform.nodes[node].name),
            Fault::Cut | Fault::Close | Fault::Stall => {
                format!("{} > {}", platform.nodes[node].name, platform.nodes[node].links[link].to)
            }
            _ => platform.nodes[node].name.clone(),
        };
        Some(Self { fault, target, node, link, dice })
    }

    /// Makes the fault and repairs it. Returns the process id of the graph host that it hit, if it hit one.
    pub(super) async fn happen(mut self, platform: &Platform) -> Option<i32> {
        let node = &platform.nodes[self.node];
        match self.fault {
            Fault::Kill(_) => {
                node.kill().await;
                self.wait(200, 1500).await;
                start(node);
            }
            Fault::Stop(_) => {
                node.stop().await;
                self.wait(100, 800).await;
                start(node);
            }
            Fault::Hold(_) => {
                node.hold(true);
                self.wait_leases().await;
                node.hold(false);
            }
            Fault::KillHost | Fault::HoldHost => return self.disturb_host(node).await,
            Fault::RestartPostgres => self.restart_postgres(platform, Shutdown::Fast).await,
            Fault::CrashPostgres => self.restart_postgres(platform, Shutdown::Immediate).await,
            Fault::RestartRedis | Fault::KillRedis => {
                if let Some(redis) = &platform.redis {
                    redis.down(self.fault == Fault::KillRedis).await;
                    self.wait(100, 2000).await;
                    report(redis.up().await);
                }
            }
            Fault::Cut | Fault::Close | Fault::Stall => self.disturb_link(&node.links[self.link]).await,
            Fault::FullDisk => self.fill_disk(platform).await,
            Fault::ClockJump => {
                let seconds = self.dice.random_range(-40..=40i64);
                set_clock(platform, seconds * 1_000_000);
                self.wait(500, 4000).await;
            }
            Fault::Skew => {
                report(node.skew(skew(&mut self.dice)));
                self.wait(500, 2000).await;
            }
        }
        None
    }

    async fn wait(&mut self, least_ms: u64, most_ms: u64) {
        let pause = self.dice.random_range(least_ms..=most_ms);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    /// Waits longer than a lease lasts.
    async fn wait_leases(&mut self) {
        let lease = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        self.wait(lease + 300, 2 * lease).await;
    }

    async fn disturb_host(&mut self, node: &Node) -> Option<i32> {
        let hosts = node.hosts();
        let chosen = self.dice.random::<u32>() as usize;
        let host = *hosts.get(chosen.checked_rem(hosts.len())?)?;
        if self.fault == Fault::KillHost {
            signal(host, Signal::KILL);
        } else {
            signal(host, Signal::STOP);
            self.wait_leases().await;
            signal(host, Signal::CONT);
        }
        Some(host.as_raw_nonzero().get())
    }

    async fn disturb_link(&mut self, link: &Link) {
        match self.fault {
            Fault::Cut => link.proxy.cut(),
            Fault::Close => {
                link.proxy.close(true);
                self.wait(500, 5000).await;
                link.proxy.close(false);
            }
            _ => {
                link.proxy.hold(true);
                self.wait(500, 7000).await;
                link.proxy.hold(false);
            }
        }
    }

    async fn restart_postgres(&mut self, platform: &Platform, shutdown: Shutdown) {
        let Some(postgres) = &platform.postgres else { return };
        postgres.down(shutdown).await;
        self.wait(100, 2500).await;
        report(postgres.up().await);
    }

    async fn fill_disk(&mut self, platform: &Platform) {
        let Some(postgres) = &platform.postgres else { return };
        let Some(disk) = &postgres.disk else { return };
        disk.fill();
        self.wait(1000, 4000).await;
        disk.free();
        revive(postgres).await;
    }
}

/// Restarts a Postgres that a full disk has stopped.
pub(super) async fn revive(postgres: &Postgres) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    if !postgres.is_up().await {
        report(postgres.up().await);
    }
}

/// Sets the offset of the platform's clock, in microseconds.
pub(super) fn set_clock(platform: &Platform, offset: i64) {
    let (clock, next) = (platform.clock(), platform.clock().with_extension("next"));
    // The rename is atomic, so that no reader sees half of the number.
    let written = std::fs::write(&next, offset.to_string()).and_then(|()| std::fs::rename(&next, &clock));
    report(written);
}

/// Draws the clock offset of a process in milliseconds: usually as small as between two machines, sometimes large.
pub(super) fn skew(dice: &mut StdRng) -> i64 {
    match dice.random_bool(0.7) {
        true => dice.random_range(-3_000..=3_000),
        false => dice.random_range(-40_000..=40_000),
    }
}

pub(super) fn start(node: &Node) {
    report(node.up());
}

pub(super) fn report<E: std::fmt::Display>(result: Result<(), E>) {
    if let Err(error) = result {
        eprintln!("langopen-faults: {error}");
    }
}
