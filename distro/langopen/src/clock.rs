//! The clock of the programs: with Postgres the database server's clock, otherwise the machine's. Tests can shift it.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use langopen_core::{Clock, SystemClock, Timestamp};
use parking_lot::Mutex;

/// The variable that names a file with the shift in microseconds. Only tests of clock jumps set it.
const OFFSET_FILE: &str = "LANGOPEN_TEST_CLOCK_OFFSET_FILE";

/// How often the clock reads the file.
const READ_EVERY: Duration = Duration::from_millis(50);

static CLOCK: LazyLock<Arc<ProcessClock>> = LazyLock::new(|| {
    let machine: Arc<dyn Clock> = match std::env::var_os(OFFSET_FILE) {
        Some(file) => Arc::new(MovedClock { file: file.into(), offset: Mutex::new((0, None)) }),
        None => Arc::new(SystemClock),
    };
    Arc::new(ProcessClock { machine, server: OnceLock::new() })
});

/// The clock of this process.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::clone(&CLOCK) as Arc<dyn Clock>
}

/// Makes this process read `server`, the clock of the database server, from now on. The processes of a platform compare
/// times there.
pub(crate) fn follow(server: Arc<dyn Clock>) {
    // The first database sets the clock. A second one that the process opens later does not change it.
    let _ = CLOCK.server.set(server);
}

struct ProcessClock {
    machine: Arc<dyn Clock>,
    server: OnceLock<Arc<dyn Clock>>,
}

impl ProcessClock {
    fn read(&self) -> &dyn Clock {
        self.server.get().unwrap_or(&self.machine).as_ref()
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        self.read().now()
    }

    fn steady(&self) -> Timestamp {
        self.read().steady()
    }
}

/// The machine's clock, shifted by the number in a file.
struct MovedClock {
    file: PathBuf,
    /// The shift, and the time of the last read.
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

    fn steady(&self) -> Timestamp {
        SystemClock.steady()
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
