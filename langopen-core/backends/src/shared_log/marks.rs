//! Knowing a record that comes again in another place.

use std::collections::VecDeque;

use uuid::Uuid;

/// How many marks are remembered.
const REMEMBERED: usize = 64;

/// The marks of the last records.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<Uuid>);

impl Marks {
    /// Remembers a mark; `false` if it was remembered already.
    pub(super) fn add(&mut self, mark: Uuid) -> bool {
        if self.0.contains(&mark) {
            return false;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(mark);
        true
    }
}
