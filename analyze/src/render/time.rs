//! Instants and lengths as people read them.

/// An offset from the case's start: `+1.234 s`.
pub fn offset(ns: u64) -> String {
    format!("+{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1_000)
}

/// A length: `350 us`, `12.3 ms`, `4.56 s`, `3 min 5 s`.
pub fn length(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} us", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{}.{} ms", ns / 1_000_000, ns / 100_000 % 10),
        1_000_000_000..60_000_000_000 => format!("{}.{:02} s", ns / 1_000_000_000, ns / 10_000_000 % 100),
        _ => format!("{} min {} s", ns / 60_000_000_000, ns / 1_000_000_000 % 60),
    }
}

/// Nanoseconds since 1970 as `2026-11-24 10:02:50.123 UTC`.
pub fn utc(real_ns: u64) -> String {
    let (seconds, millis) = (real_ns / 1_000_000_000, real_ns / 1_000_000 % 1_000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date, by eras of 400 years that begin on a 1st of March (Hinnant, "chrono-compatible low-level
    // date algorithms"); no date before 1970 occurs, so nothing here is negative.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millis:03} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00.000 UTC"),
            (951_782_400, "2000-02-29 00:00:00.000 UTC"),
            (951_868_799, "2000-02-29 23:59:59.000 UTC"),
            (1_795_514_570, "2026-11-24 10:02:50.000 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00.000 UTC"),
        ] {
            assert_eq!(utc(seconds * 1_000_000_000), expected);
        }
    }

    #[test]
    fn lengths_and_offsets() {
        assert_eq!(offset(1_234_567_890), "+1.234 s");
        for (ns, expected) in
            [(350_000, "350 us"), (12_345_678, "12.3 ms"), (4_567_000_000, "4.56 s"), (185_000_000_000, "3 min 5 s")]
        {
            assert_eq!(length(ns), expected);
        }
    }
}
