//! Records and logs that contradict themselves: forks that come twice, in a circle or out of order, exits before forks, two
//! processes with one key, spans that end before they start, instants at the end of time. Nothing panics, blame stays a
//! function of the case, and what cannot be is a finding.

use super::random::{Telling, random_run};
use super::*;

/// A row or claim that is not as it was.
fn mutate(scene: &mut Scene, random: &mut Random) {
    let instants = [0, 1, 999, u64::MAX - 1, u64::MAX];
    for _ in 0..1 + random.below(12) {
        let count = scene.rows.len() as u64;
        let (one, other) = (random.below(count) as usize, random.below(count) as usize);
        let instant = if random.below(3) == 0 { instants[random.below(5) as usize] } else { random.below(3_000) };
        let process = scene.rows[other].child.or(scene.rows[other].key);
        match random.below(15) {
            // Out of order, as two processors may deliver.
            0 => scene.rows.swap(one, other),
            1 => drop(scene.rows.remove(one)),
            2 => scene.rows.push(scene.rows[one].clone()),
            // In a circle: the child is the ancestor.
            3 => scene.rows[one].child = scene.rows[one].child.and(process),
            4 => scene.rows[one].key = process,
            5 => scene.rows[one].boot_ns = instant,
            6 => {
                scene.rows[one].kind =
                    Some([Kind::Fork, Kind::Exec, Kind::Exit, Kind::Existing][random.below(4) as usize])
            }
            7 => scene.rows[one].tid = random.below(200) as i32 - 1,
            8 => scene.rows[one].parent = process,
            9 => scene.rows[one].key = Some(ProcessKey { pid: 10, start_ns: instant }),
            _ if scene.spans.is_empty() => {}
            kind => {
                let which = random.below(scene.spans.len() as u64) as usize;
                let another = scene.spans[random.below(scene.spans.len() as u64) as usize].span_id.clone();
                let span = &mut scene.spans[which];
                match kind {
                    10 => (span.start_boot_ns, span.start_err_ns) = (instant, random.below(2) * instant),
                    // Before it starts, perhaps.
                    11 => (span.end_boot_ns, span.end_err_ns) = (Some(instant), random.below(2) * instant),
                    // Spans within each other.
                    12 => span.parent_id = Some(another),
                    13 => span.span_id = another,
                    _ => (span.received_boot_ns, span.end_received_boot_ns) = (Some(instant), Some(instant)),
                }
            }
        }
    }
}

/// All that is decided of a scene.
fn outcome(scene: &mut Scene) -> (String, Vec<Finding>) {
    let rows = scene.rows.clone();
    let (forest, ledger, claims, findings) = scene.attribute();
    let no_list = Series::new("".into(), Vec::<String>::new());
    let keys: Vec<ProcessKey> = rows.iter().map(|row| row.key.expect("every row has one")).collect();
    let frame = df!(
        "event_id" => (0..rows.len() as u64).collect::<Vec<_>>(),
        "boot_ns" => rows.iter().map(|row| row.boot_ns).collect::<Vec<_>>(),
        "pid" => keys.iter().map(|key| key.pid).collect::<Vec<_>>(),
        "start_ns" => keys.iter().map(|key| key.start_ns).collect::<Vec<_>>(),
        "tid" => rows.iter().map(|row| row.tid).collect::<Vec<_>>(),
        "last_ns" => vec![None::<u64>; rows.len()],
        "missing" => vec![no_list; rows.len()],
    );
    let frame = frame.expect("columns of one length").lazy();
    let single = join::lasting(&frame, &ledger).expect("the query works");
    let verdicts = join::verdicts(&frame, &ledger, &single, &claims).expect("the join works");
    for (_, _, steps) in ledger.intervals() {
        assert!(steps.windows(2).all(|two| two[0].from_ns < two[1].from_ns), "intervals overlap: {steps:?}");
    }
    let columns = argus_schemas::verdicts::COLUMNS.iter().map(|column| {
        let values = verdicts.column(column.name).expect("it has the column").as_materialized_series();
        format!("{} {:?}", column.name, values.iter().collect::<Vec<AnyValue>>())
    });
    (format!("{} {}", forest.len(), columns.collect::<Vec<_>>().join("\n")), findings)
}

fn check(seeds: std::ops::Range<u64>) {
    let found = std::sync::Mutex::new(std::collections::BTreeSet::new());
    for_each_seed(seeds, |seed| {
        let telling = if seed % 2 == 0 { Telling::Marked } else { Telling::Windows };
        let broken = || {
            let mut random = Random(seed);
            let (mut scene, _) = random_run(seed, telling, false);
            mutate(&mut scene, &mut random);
            scene
        };
        let (first, again) = (outcome(&mut broken()), outcome(&mut broken()));
        assert_eq!(first, again, "seed {seed}");
        found.lock().expect("no other seed failed").extend(first.1.into_iter().map(|finding| finding.rule));
    });
    let found = found.into_inner().expect("no seed failed");
    for rule in [
        "impossible-fork",
        "impossible-exit",
        "lost-fork",
        "duplicate-span",
        "span-without-process",
        "mark-contradiction",
    ] {
        assert!(found.contains(rule), "no record was broken so that {rule} was found: {found:?}");
    }
}

#[test]
fn what_contradicts_itself_is_told_and_never_panics() {
    check(0..400);
}

#[test]
#[ignore = "it takes minutes; `make battery` runs it"]
fn ten_thousand_broken_records() {
    check(0..10_000);
}
