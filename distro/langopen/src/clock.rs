//! The clock of the programs: the machine's clock, unless a test shifts it.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use langopen_core::{Clock, SystemClock, Timestamp};
use parking_lot::Mutex;

/// Names a file with the shift in microseconds. Only tests of jumping clocks set it.
const OFFSET_FILE: &str = "LANGOPEN_TEST_CLOCK_OFFSET_FILE";

/// How often the clock reads the file.
const READ_EVERY: Duration = Duration::from_millis(50);

static CLOCK: LazyLock<Arc<dyn Clock>> = LazyLock::new(|| match std::env::var_os(OFFSET_FILE) {
    Some(file) => Arc::new(MovedClock { file: file.into(), offset: Mutex::new((0, None)) }),
    None => Arc::new(SystemClock),
});

/// The clock of this process.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::clone(&CLOCK)
}

/// The machine's clock, shifted by the number in a file.
struct MovedClock {
    file: PathBuf,
    /// The shift, and when it was read.
    offset: Mutex<(i64, Option<Instant>)>,
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let mut offset = self.offset.lock();
        if offset.1.is_none_or(|read| read.elapsed() >= READ_EVERY) {
            let text = std::fs::read_to_string(&self.file).unwrap_or_default();
            *offset = (text.trim().parse().unwrap_or(0), Some(Instant::now()));
        }
        Timestamp::from_micros(SystemClock.now().as_micros().saturating_add(offset.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_off_by_what_the_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offset");
        let clock = MovedClock { file: file.clone(), offset: Mutex::new((0, None)) };
        let hour = 3_600_000_000;
        std::fs::write(&file, format!("-{hour}\n")).unwrap();
        let off = SystemClock.now().as_micros() - clock.now().as_micros();
        assert!((hour - 1_000_000..=hour).contains(&off), "{off}");
    }
}
