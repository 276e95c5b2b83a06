//! Loss is data: every CPU numbers its events, and a number that never arrives is a loss between its neighbours.

use argus_schemas::manifest::Loss;
use std::collections::BTreeMap;

/// Watches the sequence of every CPU.
#[derive(Debug, Default)]
pub struct Gaps {
    last: BTreeMap<u16, (u64, u64)>,
    losses: Vec<Loss>,
}

impl Gaps {
    /// Takes the next event of a CPU: its number and its time. `since`: when the capture began, for a first gap.
    pub fn take(&mut self, cpu: u16, seq: u64, boot_ns: u64, since: u64) {
        let (expected, from) = self.last.get(&cpu).map_or((0, since), |(seq, at)| (seq + 1, *at));
        if seq > expected {
            self.losses.push(Loss {
                cause: "sequence_gap".to_owned(),
                count: seq - expected,
                cpu: Some(cpu),
                from_boot_ns: from,
                to_boot_ns: boot_ns,
            });
        }
        self.last.insert(cpu, (seq, boot_ns));
    }

    /// The losses, with what the kernel counted beyond them: numbers lost at the very end have no later neighbour.
    pub fn finish(self, counted: &[(String, u64)], until: u64) -> Vec<Loss> {
        let mut losses = self.losses;
        let explained: u64 = losses.iter().map(|loss| loss.count).sum();
        let numbered: u64 =
            counted.iter().filter(|(cause, _)| NUMBERED.contains(&cause.as_str())).map(|(_, count)| count).sum();
        if numbered > explained {
            let from = self.last.values().map(|(_, at)| *at).min().unwrap_or(0);
            losses.push(Loss {
                cause: "sequence_gap".to_owned(),
                count: numbered - explained,
                cpu: None,
                from_boot_ns: from,
                to_boot_ns: until,
            });
        }
        losses.extend(counted.iter().filter(|(cause, count)| *count > 0 && !NUMBERED.contains(&cause.as_str())).map(
            |(cause, count)| Loss {
                cause: cause.clone(),
                count: *count,
                cpu: None,
                from_boot_ns: 0,
                to_boot_ns: until,
            },
        ));
        losses
    }
}

/// The causes whose events had been numbered before they were lost, so that a gap shows them.
const NUMBERED: [&str; 2] = ["ring_full", "scratch_busy"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_number_is_a_loss_between_its_neighbours() {
        let mut gaps = Gaps::default();
        for (cpu, seq, at) in [(0, 0, 10), (1, 0, 11), (0, 1, 12), (0, 5, 20), (1, 1, 21)] {
            gaps.take(cpu, seq, at, 5);
        }
        let losses = gaps.finish(&[("ring_full".to_owned(), 3)], 30);
        assert_eq!(losses.len(), 1);
        assert_eq!((losses[0].count, losses[0].from_boot_ns, losses[0].to_boot_ns), (3, 12, 20));
    }

    #[test]
    fn what_was_lost_last_is_known_by_count() {
        let mut gaps = Gaps::default();
        gaps.take(0, 0, 10, 5);
        let losses = gaps.finish(&[("ring_full".to_owned(), 2), ("not_inherited".to_owned(), 1)], 30);
        assert_eq!(losses.iter().map(|loss| loss.count).collect::<Vec<_>>(), [2, 1]);
    }
}
