//! What the tests of the readers share.

use super::{Format, Imported, read};

/// A small generator of random numbers: the same seed gives the same numbers everywhere.
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
        random.below(1);
        random
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The high bits are the random ones.
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }

    /// An index into something that is not empty.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }
}

/// Reads a whole log from memory.
pub fn read_all(format: Format, log: impl AsRef<[u8]>) -> Imported {
    let imported = read(format, log.as_ref()).expect("memory can be read");
    let counts = &imported.counts;
    assert_eq!(counts.read, counts.understood + counts.without_calls + counts.lost(), "every part is counted once");
    imported
}

/// Changes a log of lines at random and reads it: nothing panics, and of the tool calls whose lines were left alone none
/// is lost or told otherwise. `lines_of` says which lines, counted from 0, a call rests on.
pub fn survives_changes(format: Format, log: &str, lines_of: &dyn Fn(&str) -> Vec<usize>) {
    let whole = read_all(format, log);
    let lines: Vec<&[u8]> = log.as_bytes().split_inclusive(|byte| *byte == b'\n').collect();
    let tools: Vec<_> = whole.spans.iter().filter(|span| span.kind == "tool").collect();
    assert!(tools.len() > 1, "the sample has calls");
    let mut survivors = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut changed: Vec<Option<Vec<u8>>> = lines.iter().map(|line| Some(line.to_vec())).collect();
        let mut touched = vec![false; lines.len()];
        for _ in 0..=random.below(3) {
            let at = random.index(lines.len());
            touched[at] = true;
            let Some(line) = &mut changed[at] else { continue };
            match random.below(6) {
                0 => changed[at] = None,
                // A line's end stays where it was, so that the next line is left alone.
                1 => {
                    let cut = random.index(line.len());
                    line.truncate(cut);
                    line.push(b'\n');
                }
                2 => line.splice(0..0, [b'['; 500]).for_each(drop),
                3 => {
                    let place = random.index(line.len());
                    line.insert(place, b'\xff');
                }
                _ => {
                    let place = random.index(line.len());
                    if line[place] != b'\n' {
                        line[place] ^= 1 << random.below(8);
                    }
                }
            }
        }
        let changed: Vec<u8> = changed.into_iter().flatten().flatten().collect();
        let got = read_all(format, &changed);
        for tool in &tools {
            let rests_on = lines_of(tool.call_id.as_deref().expect("a call id"));
            assert!(!rests_on.is_empty(), "{tool:?} rests on lines");
            if rests_on.iter().any(|line| touched[*line]) {
                continue;
            }
            survivors += 1;
            let same = got.spans.iter().any(|span| {
                (&span.call_id, &span.name, &span.args, &span.result, &span.status, span.start, span.end)
                    == (&tool.call_id, &tool.name, &tool.args, &tool.result, &tool.status, tool.start, tool.end)
            });
            assert!(same, "seed {seed}: {tool:?} is lost; got {:?}", got.spans);
        }
        // Cut off anywhere, it is still read.
        read_all(format, &changed[..random.index(changed.len() + 1)]);
    }
    assert!(survivors > 400, "calls were left alone: {survivors}");
}

/// The lines that hold a call's id.
pub fn lines_holding(log: &str, id: &str) -> Vec<usize> {
    log.lines().enumerate().filter(|(_, line)| line.contains(id)).map(|(number, _)| number).collect()
}

/// Every span as one line: kind, name, id, parent, status, when it began and ended (milliseconds since `origin_ns`, each
/// as the interval in which it lies), what it was told and what it answered.
pub fn told(imported: &Imported, origin_ns: u64) -> Vec<String> {
    let ms = |at: super::Interval| {
        let from = |ns: u64| (i128::from(ns) - i128::from(origin_ns)) / 1_000_000;
        format!("{}..{}", from(at.from_ns), from(at.to_ns))
    };
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let line = |span: &super::ForeignSpan| {
        let end = span.end.map_or_else(|| "never".to_owned(), ms);
        let (parent, status) = (or_dash(&span.parent_id), or_dash(&span.status));
        let background = if span.background { " background" } else { "" };
        format!(
            "{} {} {} in {parent} {status} [{}] [{end}]{background} {} -> {}",
            span.kind,
            span.name,
            span.span_id,
            ms(span.start),
            or_dash(&span.args),
            or_dash(&span.result)
        )
    };
    imported.spans.iter().map(line).collect()
}

/// The reasons of what was not understood, and of doubts, with their counts.
pub fn troubles(imported: &Imported) -> Vec<(&str, u64)> {
    let counts = &imported.counts;
    let all = counts.not_understood.iter().chain(&counts.doubts);
    all.map(|(reason, trouble)| (reason.as_str(), trouble.count)).collect()
}
