use langopen_core::signals::{Signal, Signals};
use tokio::sync::broadcast;

use super::Chaotic;
use super::hints::heard;

impl<T: Signals + ?Sized> Signals for Chaotic<T> {
    fn send(&self, signal: Signal) {
        if !self.chaos.loses("signals.send") {
            self.inner.send(signal);
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        heard(&self.chaos, "signals.subscribe", &self.signals, self.inner.subscribe())
    }
}
