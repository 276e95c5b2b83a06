//! Instants as foreign logs write them, as intervals: an instant is known no better than it was written.

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

/// A second, in nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;
/// A millisecond, in nanoseconds.
pub(super) const MILLISECOND: u64 = 1_000_000;
/// A microsecond, in nanoseconds.
pub(super) const MICROSECOND: u64 = 1_000;

/// An instant, or a length of time, that lies between two others. Nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// Not before, or not less.
    pub from_ns: u64,
    /// Not after, or not more.
    pub to_ns: u64,
}

impl Interval {
    /// Everything between two values, whichever is the greater.
    pub fn between(one: u64, other: u64) -> Self {
        Self { from_ns: one.min(other), to_ns: one.max(other) }
    }

    /// A value that may be off by `error` either way.
    pub fn around(ns: u64, error: u64) -> Self {
        Self { from_ns: ns.saturating_sub(error), to_ns: ns.saturating_add(error) }
    }

    /// The middle, and how far off it may be either way.
    pub fn middle_and_error(self) -> (u64, u64) {
        let middle = self.from_ns + (self.to_ns - self.from_ns) / 2;
        (middle, self.to_ns - middle)
    }

    /// What both allow.
    pub fn both(self, other: Self) -> Option<Self> {
        let (from_ns, to_ns) = (self.from_ns.max(other.from_ns), self.to_ns.min(other.to_ns));
        (from_ns <= to_ns).then_some(Self { from_ns, to_ns })
    }

    /// Later by a length of time.
    pub fn plus(self, length: Self) -> Self {
        Self { from_ns: self.from_ns.saturating_add(length.from_ns), to_ns: self.to_ns.saturating_add(length.to_ns) }
    }

    /// Earlier by a length of time.
    pub fn minus(self, length: Self) -> Self {
        Self { from_ns: self.from_ns.saturating_sub(length.to_ns), to_ns: self.to_ns.saturating_sub(length.from_ns) }
    }

    /// A start and an end, each as narrow as it can be because the one is not after the other. Where the end lies wholly
    /// before the start, both may be anywhere from the one to the other: nobody knows which of them is wrong.
    pub fn in_order(start: Self, end: Self) -> (Self, Self) {
        if end.to_ns < start.from_ns {
            let whole = Self { from_ns: end.from_ns, to_ns: start.to_ns };
            return (whole, whole);
        }
        let start = Self { to_ns: start.to_ns.min(end.to_ns), ..start };
        (start, Self { from_ns: end.from_ns.max(start.from_ns), ..end })
    }

    /// The start and end of something that took so long and lies between two instants, each as narrow as that allows.
    /// A length that does not fit between them says nothing.
    pub fn inside(first: Self, last: Self, length: Option<Self>) -> (Self, Self) {
        let (from, to) = (first.from_ns, last.to_ns.max(first.from_ns));
        let at_least = length.map_or(0, |length| length.from_ns);
        let at_least = if at_least <= to - from { at_least } else { 0 };
        (Self { from_ns: from, to_ns: to - at_least }, Self { from_ns: from + at_least, to_ns: to })
    }
}

/// The instant of a text such as `2026-01-21T06:19:38.048Z`, CLOCK_REALTIME. Clocks are read and then cut to the digits
/// that are written, so the true instant is up to one unit of the last digit later. A text without an offset is UTC, as
/// Python's `utcnow` writes it.
pub fn written(text: &str) -> Option<Interval> {
    let text = text.trim();
    let utc = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.naive_utc(),
        Err(_) => text.replacen(' ', "T", 1).parse::<NaiveDateTime>().ok()?,
    };
    let ns = u64::try_from(utc.and_utc().timestamp_nanos_opt()?).ok()?;
    let digits = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    let unit = 10u64.pow(9 - u32::try_from(digits.min(9)).unwrap_or(9));
    Some(Interval { from_ns: ns, to_ns: ns.saturating_add(unit) })
}

/// [`written`] in a field of an object.
pub(super) fn field(object: &Value, name: &str) -> Option<Interval> {
    object.get(name).and_then(Value::as_str).and_then(written)
}

/// A number of nanoseconds since 1970, as a number or, as JSON of protobuf has it, as a text.
pub(super) fn nanoseconds(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        // Some write a float, which is good to a quarter of a microsecond.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        other => other.as_u64().or_else(|| other.as_f64().filter(|ns| (0.0..1.8e19).contains(ns)).map(|ns| ns as u64)),
    }
}

/// A length of time that was written as a number of milliseconds, rounded one way or the other.
pub(super) fn milliseconds(value: &Value) -> Option<Interval> {
    let text = value.as_f64().filter(|number| number.is_finite() && (0.0..1e12).contains(number))?;
    // Floats of this size hold microseconds exactly enough; the error below is a thousand times theirs.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let ns = (text * 1e6) as u64;
    Some(Interval::around(ns, MILLISECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u64, u64)>) {
        assert_eq!(written(text).map(|at| (at.from_ns, at.to_ns - at.from_ns)), expected, "{text}");
    }

    #[test]
    fn an_instant_is_known_as_well_as_it_is_written() {
        check("1970-01-01T00:00:01.000Z", Some((SECOND, MILLISECOND)));
        check("1970-01-01T00:00:01Z", Some((SECOND, SECOND)));
        check("1970-01-01T01:00:01.5+01:00", Some((1_500_000_000, SECOND / 10)));
        check("1970-01-01T00:00:00.000001", Some((1_000, MICROSECOND)));
        check("1970-01-01 00:00:00.000001+00:00", Some((1_000, MICROSECOND)));
        check("1970-01-01T00:00:00.123456789Z", Some((123_456_789, 1)));
        for bad in ["", "yesterday", "1970-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "99999-01-01T00:00:00Z", "."] {
            check(bad, None);
        }
    }

    #[test]
    fn a_start_is_never_after_its_end() {
        let check = |start: (u64, u64), end: (u64, u64), expected: [(u64, u64); 2]| {
            let interval = |(from_ns, to_ns)| Interval { from_ns, to_ns };
            let (start, end) = Interval::in_order(interval(start), interval(end));
            assert_eq!([(start.from_ns, start.to_ns), (end.from_ns, end.to_ns)], expected);
            assert!(start.middle_and_error().0 <= end.middle_and_error().0);
        };
        check((10, 20), (30, 40), [(10, 20), (30, 40)]);
        check((10, 35), (30, 40), [(10, 35), (30, 40)]);
        check((10, 50), (5, 15), [(10, 15), (10, 15)]);
        check((10, 20), (0, 5), [(0, 20), (0, 20)]);
    }

    #[test]
    fn what_lies_inside_a_window_is_narrowed_by_its_length() {
        let at = |ns| Interval::around(ns, 0);
        let inside = |from, to, length: Option<u64>| {
            let (start, end) = Interval::inside(at(from), at(to), length.map(at));
            ((start.from_ns, start.to_ns), (end.from_ns, end.to_ns))
        };
        assert_eq!(inside(10, 30, None), ((10, 30), (10, 30)));
        assert_eq!(inside(10, 30, Some(5)), ((10, 25), (15, 30)));
        assert_eq!(inside(10, 30, Some(20)), ((10, 10), (30, 30)));
        assert_eq!(inside(10, 30, Some(21)), ((10, 30), (10, 30)));
        assert_eq!(inside(30, 10, None), ((30, 30), (30, 30)));
    }
}
