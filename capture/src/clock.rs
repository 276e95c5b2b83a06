//! The two clocks of a case.

use argus_schemas::manifest::ClockPair;
use nix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).map_or_else(|_| std::time::Duration::ZERO, std::time::Duration::from);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// CLOCK_BOOTTIME, nanoseconds.
pub fn boot_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Both clocks, the tightest of five attempts: the wall clock is read between two readings of the other.
pub fn pair() -> ClockPair {
    (0..5)
        .map(|_| {
            let before = boot_ns();
            let real_ns = read(ClockId::CLOCK_REALTIME);
            let width = boot_ns() - before;
            (width, ClockPair { boot_ns: before + width / 2, real_ns })
        })
        .min_by_key(|(width, _)| *width)
        .map_or(ClockPair { boot_ns: 0, real_ns: 0 }, |(_, pair)| pair)
}
