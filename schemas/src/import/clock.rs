//! From the wall clock to CLOCK_BOOTTIME, through the pairs of both that a capture took.
//!
//! The two run at the same rate: what adjusts one adjusts the other. So their difference changes only where the wall
//! clock was set, and a change between two pairs says that it was, but not when. There, and outside the pairs, an
//! instant becomes an interval that holds every instant that it may have been: a stepped clock widens, and never shifts.

use super::ForeignSpan;
use super::instant::{Interval, MICROSECOND, MILLISECOND};
use crate::manifest::ClockPair;
use crate::spans::Span;

/// How far off a pair may be: its two clocks are read one after the other.
const PAIR_ERROR_NS: i128 = MICROSECOND as i128;
/// Outside the pairs nobody watched the clocks. Nothing but setting makes them differ, but kernels slew by at most 500
/// millionths, so this much is allowed for what is not known, and a millisecond at once.
const OUTSIDE_ERROR_NS: i128 = MILLISECOND as i128;
const OUTSIDE_PARTS: i128 = 2_000;

/// The stretch between two pairs, or outside them.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: i128,
    to: i128,
    /// How far the wall clock was ahead, at least and at most.
    ahead: (i128, i128),
    /// The nearest pair, for a stretch outside the pairs.
    outside: Option<i128>,
}

/// What the pairs of a case say of the wall clock.
#[derive(Debug, Clone)]
pub struct ClockMap {
    stretches: Vec<Stretch>,
}

impl ClockMap {
    /// From the pairs of a manifest, in any order; `None` if there are none.
    pub fn new(pairs: &[ClockPair]) -> Option<Self> {
        let mut pairs = pairs.to_vec();
        pairs.sort_by_key(|pair| (pair.boot_ns, pair.real_ns));
        let ahead = |pair: &ClockPair| i128::from(pair.real_ns) - i128::from(pair.boot_ns);
        let at = |pair: &ClockPair| i128::from(pair.boot_ns);
        let (first, last) = (pairs.first()?, pairs.last()?);
        let outside = |from, to, pair| Stretch { from, to, ahead: (ahead(pair), ahead(pair)), outside: Some(at(pair)) };
        let mut stretches = vec![outside(0, at(first), first)];
        stretches.extend(pairs.windows(2).map(|two| {
            let (one, other) = (ahead(&two[0]), ahead(&two[1]));
            Stretch { from: at(&two[0]), to: at(&two[1]), ahead: (one.min(other), one.max(other)), outside: None }
        }));
        stretches.push(outside(at(last), i128::from(u64::MAX), last));
        Some(Self { stretches })
    }

    /// When an instant of the wall clock was, CLOCK_BOOTTIME: every instant at which the clock may have said so. A wall
    /// clock that was set back said some things twice; a step that was undone before the next pair is not seen.
    pub fn boot(&self, real: Interval) -> Interval {
        let (from, to) = (i128::from(real.from_ns), i128::from(real.to_ns));
        let found = self.stretches.iter().filter_map(|stretch| {
            let mut earliest = from - stretch.ahead.1 - PAIR_ERROR_NS;
            let mut latest = to - stretch.ahead.0 + PAIR_ERROR_NS;
            if let Some(pair) = stretch.outside {
                earliest -= OUTSIDE_ERROR_NS + (earliest - pair).abs() / OUTSIDE_PARTS;
                latest += OUTSIDE_ERROR_NS + (latest - pair).abs() / OUTSIDE_PARTS;
                // What lies between the pairs, however it is counted, does not belong outside them.
                let beyond = |at: i128| if stretch.to == pair { at < pair } else { at > pair };
                if !beyond(from - stretch.ahead.1) && !beyond(to - stretch.ahead.0) {
                    return None;
                }
            }
            let (earliest, latest) = (earliest.max(stretch.from), latest.min(stretch.to));
            (earliest <= latest).then_some((earliest, latest))
        });
        let hull = found.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        // An instant before the machine was started has no other place than its start.
        let (earliest, latest) = hull.unwrap_or((0, 0));
        let ns = |at: i128| u64::try_from(at.max(0)).unwrap_or(u64::MAX);
        Interval { from_ns: ns(earliest), to_ns: ns(latest) }
    }

    /// Whether an instant of the wall clock can lie between the first pair and the last: what does not was told of
    /// another run, or of before and after this one.
    pub fn covers(&self, real: Interval) -> bool {
        let boot = self.boot(real);
        let (Some(first), Some(last)) = (self.stretches.first(), self.stretches.last()) else { return false };
        i128::from(boot.to_ns) > first.to && i128::from(boot.from_ns) < last.from
    }

    /// A row of the spans table. Its instants are the middles of the intervals in which they lie, and their errors half
    /// the widths: from start less error to end plus error is where the call can have been.
    pub fn span(&self, foreign: &ForeignSpan) -> Span {
        let mut start = self.boot(foreign.start);
        let mut end = foreign.end.map(|end| self.boot(end));
        if let Some(length) = foreign.duration {
            if foreign.end_is_counted {
                end = end.map(|_| start.plus(length));
            } else if let Some(at) = end {
                // Lengths were measured on a clock that is never set: they narrow what a step widened.
                start = start.both(at.minus(length)).unwrap_or(start);
                end = at.both(start.plus(length)).or(end);
            }
        }
        if let Some(at) = end {
            let (before, after) = Interval::in_order(start, at);
            (start, end) = (before, Some(after));
        }
        let (start_boot_ns, start_err_ns) = start.middle_and_error();
        let (end_boot_ns, end_err_ns) = end.map(Interval::middle_and_error).unzip();
        Span {
            span_id: foreign.span_id.clone(),
            trace_id: foreign.trace_id.clone(),
            parent_id: foreign.parent_id.clone(),
            call_id: foreign.call_id.clone(),
            session: foreign.session.clone(),
            kind: foreign.kind.clone(),
            name: foreign.name.clone(),
            pid: foreign.pid,
            tid: None,
            start_boot_ns,
            end_boot_ns,
            start_err_ns,
            end_err_ns: end_err_ns.unwrap_or(0),
            status: foreign.status.clone(),
            args: foreign.args.clone(),
            result: foreign.result.clone(),
            declares: foreign.declares.clone(),
            source: foreign.source.clone(),
            author_pid: None,
            author_uid: None,
            received_boot_ns: None,
            for_pid: None,
            end_author_pid: None,
            author_address: None,
            end_received_boot_ns: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::testing::Random;

    const HOUR: u64 = 3_600_000_000_000;

    fn pair(boot_ns: u64, real_ns: u64) -> ClockPair {
        ClockPair { boot_ns, real_ns }
    }

    fn check(pairs: &[(u64, u64)], real: (u64, u64), expected: (u64, u64)) {
        let pairs: Vec<_> = pairs.iter().map(|(boot, real)| pair(*boot, *real)).collect();
        let got = ClockMap::new(&pairs).expect("pairs").boot(Interval { from_ns: real.0, to_ns: real.1 });
        assert_eq!((got.from_ns, got.to_ns), expected, "{pairs:?} {real:?}");
    }

    #[test]
    fn a_steady_clock_is_a_difference() {
        let pairs = [(HOUR, 5 * HOUR), (3 * HOUR, 7 * HOUR)];
        check(&pairs, (6 * HOUR, 6 * HOUR + 10), (2 * HOUR - 1_000, 2 * HOUR + 1_010));
        check(&[(3 * HOUR, 7 * HOUR), (HOUR, 5 * HOUR)], (6 * HOUR, 6 * HOUR), (2 * HOUR - 1_000, 2 * HOUR + 1_000));
    }

    #[test]
    fn a_step_widens_only_the_stretch_in_which_it_was() {
        // Set forward by half an hour at some time between the first two pairs.
        let pairs = [(HOUR, 5 * HOUR), (2 * HOUR, 6 * HOUR + HOUR / 2), (3 * HOUR, 7 * HOUR + HOUR / 2)];
        let real = 5 * HOUR + 3 * (HOUR / 4);
        check(&pairs, (real, real), (HOUR + HOUR / 4 - 1_000, 2 * HOUR - HOUR / 4 + 1_000));
        let real = 7 * HOUR;
        check(&pairs, (real, real), (2 * HOUR + HOUR / 2 - 1_000, 2 * HOUR + HOUR / 2 + 1_000));
    }

    #[test]
    fn what_a_clock_that_was_set_back_said_twice_may_have_been_either_time() {
        let pairs = [(HOUR, 5 * HOUR), (2 * HOUR, 6 * HOUR), (2 * HOUR, 5 * HOUR), (3 * HOUR, 6 * HOUR)];
        let real = 5 * HOUR + HOUR / 2;
        check(&pairs, (real, real), (HOUR + HOUR / 2 - 1_000, 2 * HOUR + HOUR / 2 + 1_000));
    }

    #[test]
    fn outside_the_pairs_doubt_grows_with_distance() {
        let pairs = [(HOUR, 5 * HOUR), (2 * HOUR, 6 * HOUR)];
        // Two hours after the last pair: one part in 2,000 of that, a millisecond, and the pair's own error.
        let (less, more) = ((2 * HOUR - 1_000) / 2_000 + 1_001_000, (2 * HOUR + 1_000) / 2_000 + 1_001_000);
        check(&pairs, (8 * HOUR, 8 * HOUR), (4 * HOUR - less, 4 * HOUR + more));
        // Before the machine was started.
        check(&pairs, (HOUR, HOUR), (0, 0));
        assert!(ClockMap::new(&[]).is_none());
        let map = ClockMap::new(&[pair(HOUR, 5 * HOUR), pair(2 * HOUR, 6 * HOUR)]).expect("pairs");
        let covers = |real| map.covers(Interval { from_ns: real, to_ns: real + 1_000 });
        assert_eq!([4, 8].map(|hour| covers(hour * HOUR)), [false, false]);
        assert!(covers(5 * HOUR + HOUR / 2));
    }

    /// A machine whose wall clock is set at random instants, and a capture that takes pairs at others.
    #[test]
    fn the_true_instant_is_always_in_the_interval() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let steps: Vec<(u64, i64)> = (0..random.below(4))
                .map(|_| (HOUR + random.below(10 * HOUR), i64::try_from(random.below(2 * HOUR)).unwrap() - HOUR as i64))
                .collect();
            let real_at = |boot: u64| {
                let set: i64 = steps.iter().filter(|(at, _)| *at <= boot).map(|(_, by)| by).sum();
                (boot + 100 * HOUR).checked_add_signed(set).unwrap()
            };
            let pairs: Vec<_> = (0..=random.below(20) + 1)
                .map(|_| HOUR + random.below(10 * HOUR))
                .chain([HOUR - 1, 11 * HOUR + 1])
                .map(|boot| pair(boot, real_at(boot)))
                .collect();
            let map = ClockMap::new(&pairs).expect("pairs");
            for _ in 0..200 {
                // The ends lie outside the pairs, where nothing was set.
                let (boot, error) = (random.below(13 * HOUR), random.below(HOUR / 60));
                let real = real_at(boot);
                let said = Interval { from_ns: real - random.below(error + 1), to_ns: real + random.below(error + 1) };
                let got = map.boot(said);
                // Two steps between the same two pairs may hide each other; the sum of all is what they can hide.
                let hidden = hidden_steps(&steps, &pairs);
                assert!(hidden || (got.from_ns <= boot && boot <= got.to_ns), "seed {seed}: {boot} is not in {got:?}");
                if steps.is_empty() && (HOUR..=11 * HOUR).contains(&boot) && !map.touches_the_ends(said) {
                    assert_eq!(got.to_ns - got.from_ns, said.to_ns - said.from_ns + 2_000, "seed {seed}");
                }
            }
        }
    }

    fn hidden_steps(steps: &[(u64, i64)], pairs: &[ClockPair]) -> bool {
        let mut at: Vec<u64> = pairs.iter().map(|pair| pair.boot_ns).collect();
        at.sort_unstable();
        at.windows(2).any(|two| steps.iter().filter(|(step, _)| (two[0]..=two[1]).contains(step)).count() > 1)
    }

    impl ClockMap {
        fn touches_the_ends(&self, real: Interval) -> bool {
            let (first, last) = (self.stretches.first().unwrap(), self.stretches.last().unwrap());
            i128::from(real.from_ns) - first.ahead.1 < first.to || i128::from(real.to_ns) - last.ahead.0 > last.from
        }
    }

    #[test]
    fn a_length_narrows_what_a_step_widened() {
        let map = ClockMap::new(&[pair(HOUR, 5 * HOUR), pair(3 * HOUR, 7 * HOUR), pair(4 * HOUR, 8 * HOUR + HOUR / 2)])
            .expect("pairs");
        let at = |ns| Interval { from_ns: ns, to_ns: ns };
        let foreign = ForeignSpan {
            start: at(6 * HOUR),
            end: Some(at(7 * HOUR + HOUR / 4)),
            duration: Some(at(HOUR + HOUR / 4)),
            ..ForeignSpan::default()
        };
        let span = map.span(&foreign);
        assert_eq!((span.start_boot_ns, span.start_err_ns), (2 * HOUR, 1_000));
        assert_eq!((span.end_boot_ns, span.end_err_ns), (Some(3 * HOUR + HOUR / 4), 1_000));
        // Without the length, the end may have been before or after the step.
        let span = map.span(&ForeignSpan { duration: None, ..foreign.clone() });
        assert!(span.end_err_ns > HOUR / 10);
        // An end that was counted from the start was never read from the wall clock.
        let span = map.span(&ForeignSpan { end_is_counted: true, end: Some(at(9 * HOUR)), ..foreign });
        assert_eq!((span.end_boot_ns, span.end_err_ns), (Some(3 * HOUR + HOUR / 4), 1_000));
    }

    #[test]
    fn a_window_is_where_the_call_can_have_been_and_nowhere_surely() {
        let map = ClockMap::new(&[pair(HOUR, 5 * HOUR), pair(3 * HOUR, 7 * HOUR)]).expect("pairs");
        let at = |ns| Interval { from_ns: ns, to_ns: ns };
        let (start, end) = Interval::inside(at(6 * HOUR), at(6 * HOUR + 1_000_000), None);
        let span = map.span(&ForeignSpan { start, end: Some(end), ..ForeignSpan::default() });
        let end = span.end_boot_ns.expect("an end");
        assert_eq!(span.start_boot_ns - span.start_err_ns, 2 * HOUR - 1_000);
        assert_eq!(end + span.end_err_ns, 2 * HOUR + 1_001_000);
        assert!(span.start_boot_ns + span.start_err_ns >= end - span.end_err_ns);
    }
}
