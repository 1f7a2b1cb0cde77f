//! Signals between the parts of one process.

use std::fmt;
use std::sync::Arc;

use langopen_core::signals::{SIGNALS_KEPT, Signal, Signals};
use parking_lot::Mutex;
use tokio::sync::broadcast;

type Parties = Arc<Mutex<Vec<broadcast::Sender<Signal>>>>;

/// [`Signals`] between parties in one process, e.g. two backends on one database. [`LocalSignals::party`] makes a new
/// party. Clones are the same party.
#[derive(Clone)]
pub struct LocalSignals {
    own: broadcast::Sender<Signal>,
    parties: Parties,
}

impl LocalSignals {
    /// The first party of a new group.
    pub fn new() -> Self {
        Self::among(Parties::default())
    }

    /// A new party in the same group.
    #[must_use]
    pub fn party(&self) -> Self {
        Self::among(Arc::clone(&self.parties))
    }

    fn among(parties: Parties) -> Self {
        let (own, _) = broadcast::channel(SIGNALS_KEPT);
        parties.lock().push(own.clone());
        Self { own, parties }
    }
}

impl Default for LocalSignals {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSignals").field("parties", &self.parties.lock().len()).finish()
    }
}

impl Signals for LocalSignals {
    fn send(&self, signal: Signal) {
        for party in self.parties.lock().iter().filter(|party| !party.same_channel(&self.own)) {
            // An error means that the party has no receiver.
            let _ = party.send(signal.clone());
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.own.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_reaches_the_others_and_not_its_sender() {
        let first = LocalSignals::new();
        let second = first.party();
        let (mut own, mut others) = (first.subscribe(), second.subscribe());
        first.clone().send(Signal::RunsReady);
        second.send(Signal::CronsChanged);
        assert_eq!(others.recv().await, Ok(Signal::RunsReady));
        assert_eq!(own.recv().await, Ok(Signal::CronsChanged));
        assert!(own.is_empty() && others.is_empty());
    }
}
