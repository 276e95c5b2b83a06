//! Other kernels than this machine's: the same program gives the same facts. Debian's Linux 6.1, in QEMU.

use argus_schemas::report::Facet::{Connect, Delete, Exec, Read, Rename, Write};
use argus_tests::{Scratch, all_effects, program, report, run, shown, skip, workspace};
use std::process::Command;

#[test]
fn linux_6_1_records_the_same() {
    let scratch = Scratch::new("kernel");
    let script = workspace().join("tests/support/kernel.sh");
    if !cfg!(target_os = "linux") {
        return skip("Linux 6.1 in QEMU", "recording needs Linux");
    }
    let output = run(Command::new(script).arg(program("argus-capture")).arg(scratch.path()));
    if output.status.code() == Some(3) {
        return skip("Linux 6.1 in QEMU", &String::from_utf8_lossy(&output.stdout));
    }
    let console = std::fs::read(scratch.join("console")).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let console: String = console.lines().filter(|line| !line.starts_with("CASE ")).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "{}\n{console}", shown(&output));
    assert!(console.contains("EXIT 7"), "the exit code is passed on:\n{console}");

    let report = report(&scratch.join("case.argus"));
    assert!(report.case.kernel.starts_with("6.1."), "{:?}", report.case);
    assert!(report.case.clean && report.case.lost == 0, "{:?}", report.case);
    for (facet, object, outcome) in [
        (Exec, "/bin/busybox", "ok"),
        (Write, "/tmp/d", "ok"),
        (Write, "/tmp/d/a", "ok"),
        (Rename, "/tmp/d/a", "ok"),
        (Delete, "/tmp/d/b", "ok"),
        (Connect, "127.0.0.1:7777", "ECONNREFUSED"),
        (Read, "/tmp/none", "ENOENT"),
        (Write, "/tmp/daemon", "ok"),
    ] {
        let found =
            all_effects(&report).any(|one| (one.facet, &*one.object, &*one.outcome) == (facet, object, outcome));
        assert!(found, "{facet:?} {object} {outcome} is not in {:#?}", all_effects(&report).collect::<Vec<_>>());
    }
}
