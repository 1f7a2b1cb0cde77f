//! Makes faults by a seed, some of them at the same time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use super::act::{Chosen, Target, report, revive, skew, start};
use super::{Fault, Incident, nanos};
use crate::platform::Platform;

/// Makes faults on a platform.
pub(crate) struct Breaking {
    platform: Arc<Platform>,
    faults: Vec<Fault>,
    dice: StdRng,
    busy: Arc<Mutex<HashSet<Target>>>,
    incidents: Arc<Mutex<Vec<Incident>>>,
}

impl Breaking {
    pub(crate) fn new(platform: Arc<Platform>, faults: Vec<Fault>, seed: u64) -> Self {
        let dice = StdRng::seed_from_u64(seed);
        Self { platform, faults, dice, busy: Arc::default(), incidents: Arc::default() }
    }

    /// Makes faults for `time`, waits until all are repaired, and returns them.
    pub(crate) async fn run(mut self, time: Duration) -> Vec<Incident> {
        if self.faults.contains(&Fault::Skew) {
            // The clocks differ from the beginning.
            self.platform.nodes.iter().for_each(|node| report(node.skew(skew(&mut self.dice))));
        }
        let end = Instant::now() + time;
        let mut going_on = JoinSet::new();
        while Instant::now() < end && !self.faults.is_empty() {
            let pause = self.dice.random_range(50..900);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.restart_ended();
            self.platform.until_up().await;
            let Ok(fault) = self.faults.choose_weighted(&mut self.dice, |fault| fault.weight()) else { break };
            let Some(chosen) = Chosen::choose(&self.platform, *fault, &mut self.dice) else { continue };
            if !self.busy.lock().insert(chosen.target.clone()) {
                continue;
            }
            going_on.spawn(self.happen(chosen));
            while going_on.try_join_next().is_some() {}
            // At most two faults overlap, which is enough for them to interact.
            while going_on.len() > 2 {
                going_on.join_next().await;
            }
        }
        while going_on.join_next().await.is_some() {}
        self.incidents.lock().clone()
    }

    fn happen(&self, chosen: Chosen) -> impl Future<Output = ()> + Send + 'static {
        let (platform, busy, incidents) =
            (Arc::clone(&self.platform), Arc::clone(&self.busy), Arc::clone(&self.incidents));
        async move {
            let (fault, what, from) = (chosen.fault, chosen.target.clone(), nanos());
            let host = chosen.happen(&platform).await;
            busy.lock().remove(&what);
            incidents.lock().push(Incident { fault, what, host, from, until: nanos() });
        }
    }

    /// Restarts processes that ended by themselves, as a supervisor does. For example, a process ends if its database
    /// is down when it starts.
    fn restart_ended(&self) {
        let ended = self.platform.nodes.iter().filter(|node| node.has_ended());
        for node in ended.filter(|node| !self.busy.lock().contains(&node.name)) {
            start(node);
        }
    }
}

/// Makes sure that everything is up, in case a repair has failed.
pub(crate) async fn heal(platform: &Platform) {
    if let Some(postgres) = &platform.postgres {
        if let Some(disk) = &postgres.disk {
            disk.free();
        }
        revive(postgres).await;
    }
    for node in &platform.nodes {
        node.hold(false);
        for link in &node.links {
            link.proxy.close(false);
            link.proxy.hold(false);
        }
        if node.has_ended() {
            start(node);
        }
    }
}
