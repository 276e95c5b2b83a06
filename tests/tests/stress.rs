//! What was recorded against what was done: programs that do random things to names as fast as they can, and write each
//! down with what came of it.

use argus_schemas::events::{Event, Kind};
use argus_tests::events::events;
use argus_tests::{Scratch, can_capture, capture, report, run, shown, skip, workspace};
use std::process::Command;

/// Of each thread, of nine.
const OPERATIONS: &str = "30000";

/// One line of the program's own log, and one event in the same words.
type Act = (Kind, i64, String, Option<String>);

fn recorded(event: &Event) -> Option<Act> {
    let kind = event.kind.filter(|kind| !matches!(kind, Kind::Fork | Kind::Exit | Kind::Close | Kind::MmapExec))?;
    Some((kind, event.ret?, event.path.clone()?, event.path2.clone()))
}

fn written(line: &str) -> Act {
    let words: Vec<&str> = line.split(' ').collect();
    let [kind, ret, path, path2] = words[..] else { panic!("{line}") };
    let kind = Kind::from_text(kind).unwrap_or_else(|| panic!("{line}"));
    let path2 = (path2 != "-").then(|| path2.to_owned());
    (kind, ret.parse().expect("a number"), path.to_owned(), path2)
}

#[test]
fn the_record_is_what_was_done() {
    let what = "a record of random operations against their own log";
    if let Err(why) = can_capture() {
        return skip(what, &why);
    }
    let scratch = Scratch::new("stress");
    let (program, folder, logs) = (scratch.join("stress"), scratch.join("work"), scratch.join("logs"));
    let source = workspace().join("tests/battery/stress.c");
    let built = run(Command::new("cc").args(["-O1", "-pthread", "-o"]).arg(&program).arg(source));
    assert!(built.status.success(), "{}", shown(&built));
    for path in [&folder, &logs] {
        std::fs::create_dir(path).expect("a folder can be made");
    }
    let case = scratch.join("s.argus");
    let command = [program.as_os_str(), folder.as_os_str(), logs.as_os_str(), OPERATIONS.as_ref()];
    let output = capture(&case, &["--ring-mib", "512"], &[], &command);
    assert!(output.status.success(), "{}", shown(&output));
    let report = report(&case);
    assert!(report.case.clean && report.case.lost == 0, "{:?}", report.limits);
    let events = events(&case);
    let mut compared = 0;
    for log in argus_tests::files_beneath(&logs) {
        let thread: i32 = log.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a thread's number");
        let acts = events
            .iter()
            .filter(|event| event.tid == thread)
            .flat_map(|event| std::iter::repeat_n(recorded(event), event.count.unwrap_or(1) as usize).flatten());
        let text = std::fs::read_to_string(&log).expect("it was written");
        // Of opens, repeats are one row for what was done within a second: their place among the others is not kept.
        let (opens, acts): (Vec<Act>, Vec<Act>) = acts.partition(|act| act.0 == Kind::Open);
        let (opened, done): (Vec<Act>, Vec<Act>) = text.lines().map(written).partition(|act| act.0 == Kind::Open);
        for (recorded, done) in [(opens, opened), (acts, done)] {
            for (number, (act, done)) in recorded.iter().zip(&done).enumerate() {
                assert_eq!(act, done, "thread {thread}, act {number}");
            }
            assert_eq!(recorded.len(), done.len(), "thread {thread}");
            compared += recorded.len();
        }
    }
    assert!(compared > 270_000, "{compared}");
}
