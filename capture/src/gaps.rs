//! Loss is data: every CPU numbers its events, and a number that never arrives is a loss between its neighbours.

use argus_schemas::manifest::Loss;
use std::collections::BTreeMap;

/// Numbers that arrived without one missing between them, and when the first and the last of them were recorded.
#[derive(Debug, Clone, Copy)]
struct Run {
    last: u64,
    first_ns: u64,
    last_ns: u64,
}

/// Watches the sequence of every CPU. What interrupts a CPU may overtake what it interrupted, so that a number which
/// has not arrived yet need not be lost.
#[derive(Debug, Default)]
pub struct Gaps {
    /// By CPU, then by the run's first number.
    runs: BTreeMap<u16, BTreeMap<u64, Run>>,
}

impl Gaps {
    /// Takes one event of a CPU: its number, and when it was recorded.
    pub fn take(&mut self, cpu: u16, seq: u64, boot_ns: u64) {
        let runs = self.runs.entry(cpu).or_default();
        if let Some((_, run)) = runs.range_mut(..=seq).next_back()
            && run.last >= seq.saturating_sub(1)
        {
            if run.last >= seq {
                return;
            }
            (run.last, run.last_ns) = (seq, run.last_ns.max(boot_ns));
        } else {
            runs.insert(seq, Run { last: seq, first_ns: boot_ns, last_ns: boot_ns });
        }
        // What had overtaken it follows on now.
        if let Some(next) = seq.checked_add(1).and_then(|next| runs.remove(&next))
            && let Some((_, run)) = runs.range_mut(..=seq).next_back()
        {
            (run.last, run.last_ns) = (next.last, run.last_ns.max(next.last_ns));
        }
    }

    /// The losses, with what the kernel counted beyond them: numbers lost at the very end have no later neighbour.
    /// `counted` is the kernel's count by cause, `kinds` the kinds that found the ring too full; `since` is when the
    /// capture began, `until` when it ended.
    pub fn losses(&self, counted: &[(String, u64)], kinds: &[String], since: u64, until: u64) -> Vec<Loss> {
        let numbered = |cause: &str| NUMBERED.contains(&cause);
        let gap = |count, cpu, from_boot_ns, to_boot_ns| Loss {
            cause: "sequence_gap".to_owned(),
            count,
            cpu,
            kinds: kinds.to_vec(),
            from_boot_ns,
            to_boot_ns,
        };
        let mut losses = Vec::new();
        for (cpu, runs) in &self.runs {
            let (mut expected, mut from) = (0, since);
            for (first, run) in runs {
                if *first > expected {
                    losses.push(gap(first - expected, Some(*cpu), from, run.first_ns.max(from)));
                }
                (expected, from) = (run.last.saturating_add(1), run.last_ns);
            }
        }
        let explained: u64 = losses.iter().map(|loss| loss.count).sum();
        let in_all: u64 = counted.iter().filter(|(cause, _)| numbered(cause)).map(|(_, count)| count).sum();
        if in_all > explained {
            let last = |runs: &BTreeMap<u64, Run>| runs.values().next_back().map(|run| run.last_ns);
            let from = self.runs.values().filter_map(last).min().unwrap_or(since);
            losses.push(gap(in_all - explained, None, from, until));
        }
        // A fold has one number, whatever it stands for: what else it held was lost in one of these gaps.
        let first = losses.iter().map(|loss| loss.from_boot_ns).min().unwrap_or(since);
        let last = losses.iter().map(|loss| loss.to_boot_ns).max().unwrap_or(until);
        losses.extend(counted.iter().filter(|(cause, count)| *count > 0 && !numbered(cause)).map(|(cause, count)| {
            Loss {
                cause: cause.clone(),
                count: *count,
                cpu: None,
                // A map that is full loses counts of bytes, and nothing else.
                kinds: match cause.as_str() {
                    "map_full" => vec!["close".to_owned()],
                    REPEATS => kinds.to_vec(),
                    _ => Vec::new(),
                },
                from_boot_ns: if cause == REPEATS { first } else { since },
                to_boot_ns: if cause == REPEATS { last } else { until },
            }
        }));
        losses
    }
}

/// The causes whose events had been numbered before they were lost, so that a gap shows them.
const NUMBERED: [&str; 2] = ["ring_full", "reserve"];

/// The cause that counts what folds held that were lost, but for the one event that each number is.
const REPEATS: &str = "repeats";

#[cfg(test)]
mod tests {
    use super::*;

    /// Events as `(cpu, number, instant)`, the kernel's counts, and the losses as `(count, cpu, from, to)`.
    #[track_caller]
    fn check(events: &[(u16, u64, u64)], counted: &[(&str, u64)], expected: &[(u64, Option<u16>, u64, u64)]) {
        let mut gaps = Gaps::default();
        events.iter().for_each(|(cpu, seq, at)| gaps.take(*cpu, *seq, *at));
        let counted: Vec<_> = counted.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect();
        let losses = gaps.losses(&counted, &[], 5, 30);
        let got: Vec<_> =
            losses.iter().map(|loss| (loss.count, loss.cpu, loss.from_boot_ns, loss.to_boot_ns)).collect();
        assert_eq!(got, expected, "{events:?} {counted:?}");
    }

    #[test]
    fn a_missing_number_is_a_loss_between_its_neighbours() {
        let events = [(0, 0, 10), (1, 0, 11), (0, 1, 12), (0, 5, 20), (1, 1, 21)];
        check(&events, &[("ring_full", 3)], &[(3, Some(0), 12, 20)]);
        check(&[(0, 2, 12)], &[], &[(2, Some(0), 5, 12)]);
    }

    #[test]
    fn what_is_overtaken_is_not_lost() {
        check(&[(0, 1, 11), (0, 0, 10), (0, 3, 13), (0, 2, 12), (0, 4, 14)], &[], &[]);
        check(&[(0, 0, 10), (0, 2, 12), (0, 4, 14), (0, 3, 13)], &[], &[(1, Some(0), 10, 12)]);
    }

    #[test]
    fn what_was_lost_last_is_known_by_count() {
        check(&[(0, 0, 10)], &[("reserve", 2), ("not_inherited", 1)], &[(2, None, 10, 30), (1, None, 5, 30)]);
        // One of the lost was a fold of 50: its repeats are lost where it is.
        let events = [(0, 0, 10), (0, 2, 20), (0, 3, 25)];
        check(&events, &[("ring_full", 1), ("repeats", 49)], &[(1, Some(0), 10, 20), (49, None, 10, 20)]);
    }
}
