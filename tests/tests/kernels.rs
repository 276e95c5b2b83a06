//! Other kernels than this machine's: the same programs give the same facts, under both plans. Debian's Linux 6.1, in
//! QEMU, where the kernel's own functions can be traced.

use argus_schemas::events::Kind;
use argus_schemas::report::Facet::{Connect, Delete, Exec, Read, Rename, Write};
use argus_schemas::report::{Facet, Report};
use argus_tests::evasion::{self, DIFFERING, Seen, WAYS};
use argus_tests::events::events;
use argus_tests::{Scratch, all_effects, program, report, run, shown, skip, workspace};
use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::process::Command;

/// What is recorded there: both plans at a time, each with folders and a network of its own. `WAYS` stands for the names
/// of all ways.
const SCRIPT: &str = r#"
argus-capture doctor
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
cat >/plan <<'PLAN'
mount -t tmpfs none /tmp
ifconfig lo 127.0.0.1 up
mkdir /tmp/work
mkfifo /tmp/ready
evade listen /tmp 7000 >/tmp/ready &
read _ </tmp/ready
argus-capture run --plan $plan -o /out/$plan-shell.argus -- sh -c '
    mkdir /tmp/d
    echo x >/tmp/d/a
    mv /tmp/d/a /tmp/d/b
    rm /tmp/d/b
    rmdir /tmp/d
    nc -w1 127.0.0.1 7777
    cat /tmp/none
    (touch /tmp/daemon &)
    exit 7'
echo "EXIT $?"
for way in WAYS; do
    mount -t tmpfs none /tmp/work
    argus-capture run --plan $plan -o /out/$plan-$way.argus -- evade $way /tmp/work 7000 >/tmp/said
    echo $? >/out/$plan-$way.status
    mv /tmp/said /out/$plan-$way.said
    umount -l /tmp/work
done
argus-capture run --plan $plan --ring-mib 1 -o /out/$plan-flood.argus -- evade flood /tmp 7000
argus-capture run --plan $plan -o /out/$plan-kill_recorder.argus -- evade kill_recorder /tmp/work 7000
argus-capture run --plan $plan -o /out/$plan-names.argus -- evade names /tmp 7000
echo "NAMES $?"
kill $!
PLAN
export EVADE_FEW=1 EVADE_OPENS=20000
for plan in auto syscalls; do
    plan=$plan unshare -m -n sh /plan &
done
wait
"#;

/// What a report says was done, without how often, when, and by which process; and without what a hard link is of,
/// which under one plan is the link in /proc that was named, and under the other the file that it leads to.
fn facts(report: &Report) -> BTreeSet<(Facet, String, String, Option<String>)> {
    let plain = |text: &str| match text.split_once(' ') {
        Some(("process", _)) => "process".to_owned(),
        _ => text.to_owned(),
    };
    let detail = |text: &String| if text.starts_with("hard link") { "hard link".to_owned() } else { text.clone() };
    all_effects(report)
        .map(|effect| (effect.facet, plain(&effect.object), effect.outcome.clone(), effect.detail.as_ref().map(detail)))
        .collect()
}

#[test]
fn linux_6_1_records_the_same_under_both_plans() {
    let what = "Linux 6.1 in QEMU";
    if !cfg!(target_os = "linux") {
        return skip(what, "recording needs Linux");
    }
    let scratch = Scratch::new("kernel");
    let evade = scratch.join("evade");
    evasion::build(&evade);
    let names: Vec<&str> = WAYS.iter().map(|(way, _)| *way).collect();
    let script = SCRIPT.replace("WAYS", &names.join(" "));
    let output = run(Command::new(workspace().join("tests/support/kernel.sh")).args([
        scratch.path().as_os_str(),
        script.as_ref(),
        program("argus-capture").as_ref(),
        evade.as_ref(),
        "/bin/true".as_ref(),
    ]));
    if output.status.code() == Some(3) {
        return skip(what, &String::from_utf8_lossy(&output.stdout));
    }
    let console = fs::read(scratch.join("console")).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    assert!(output.status.success(), "{}\n{console}", shown(&output));
    assert_eq!(console.matches("EXIT 7").count(), 2, "the exit code is passed on:\n{console}");

    let of = |plan: &str, name: &str| report(&scratch.join(format!("out/{plan}-{name}.argus")));
    let [objects, syscalls] = ["auto", "syscalls"].map(|plan| of(plan, "shell"));
    for report in [&objects, &syscalls] {
        assert!(report.case.kernel.starts_with("6.1."), "{:?}", report.case);
        assert!(report.case.clean && report.case.lost == 0, "{:?}", report.case);
        for (facet, object, outcome) in [
            (Exec, "/usr/bin/busybox", "ok"),
            (Write, "/tmp/d", "ok"),
            (Write, "/tmp/d/a", "ok"),
            (Rename, "/tmp/d/a", "ok"),
            (Delete, "/tmp/d/b", "ok"),
            (Delete, "/tmp/d", "ok"),
            (Connect, "127.0.0.1:7777", "ECONNREFUSED"),
            (Read, "/tmp/none", "ENOENT"),
            (Write, "/tmp/daemon", "ok"),
        ] {
            let found =
                all_effects(report).any(|one| (one.facet, &*one.object, &*one.outcome) == (facet, object, outcome));
            assert!(found, "{facet:?} {object} {outcome} is not in {:#?}", facts(report));
        }
    }
    assert_eq!(facts(&objects), facts(&syscalls));
    // What was deleted or renamed is an object under the one plan, and an argument under the other.
    let resolved = |report: &Report| {
        let mut names = all_effects(report).filter(|one| matches!(one.facet, Delete | Rename));
        names.all(|one| one.from_kernel)
    };
    assert!(resolved(&objects) && !resolved(&syscalls));

    for plan in ["auto", "syscalls"] {
        a_flood_hides_no_connection(&of(plan, "flood"));
        let killed = of(plan, "kill_recorder");
        assert!(!killed.case.clean, "{plan}: {:?}", killed.case);
        assert!(all_effects(&killed).any(|one| one.object == "/tmp/work/before"), "{plan}");
        names_are_filled_in(&of(plan, "names"));
        let named = events(&scratch.join(format!("out/{plan}-names.argus")));
        let networks: BTreeSet<Option<u32>> = named
            .iter()
            .filter(|event| matches!(event.kind, Some(Kind::Dns | Kind::TlsName | Kind::Connect)))
            .filter(|event| event.family.as_deref() == Some("inet"))
            .map(|event| event.net_ns)
            .collect();
        assert!(networks.len() == 1 && !networks.contains(&None), "{plan}: {networks:?}");
    }
    assert_eq!(console.matches("NAMES 0").count(), 2, "{console}");

    // Starting that kernel takes minutes: all that is wrong is told at once.
    let mut wrong = Vec::new();
    for (way, check) in WAYS {
        let status =
            |plan: &str| fs::read_to_string(scratch.join(format!("out/{plan}-{way}.status"))).unwrap_or_default();
        match (status("auto").trim(), status("syscalls").trim()) {
            ("0", "0") => {}
            ("77", "77") => {
                skip(&format!("{what}: {way}"), "this kernel does not offer it");
                continue;
            }
            other => panic!("{way} ended with {other:?}:\n{console}"),
        }
        let seen = ["auto", "syscalls"].map(|plan| {
            let said = fs::read_to_string(scratch.join(format!("out/{plan}-{way}.said"))).unwrap_or_default();
            let events = events(&scratch.join(format!("out/{plan}-{way}.argus")));
            Seen {
                report: of(plan, way),
                events,
                folder: "/tmp/work".to_owned(),
                port: 7000,
                said: said.trim().to_owned(),
            }
        });
        for (seen, plan) in seen.iter().zip(["objects", "syscalls"]) {
            eprintln!("looking at {way} under {plan}");
            if catch_unwind(|| check(seen)).is_err() {
                wrong.push(format!("{way} under {plan}"));
            }
        }
        // Under the one plan, what another thread rewrites is known; under the other, it is a claim.
        if !DIFFERING.contains(way) && facts(&seen[0].report) != facts(&seen[1].report) {
            eprintln!("{way}: {:#?}\n{:#?}", facts(&seen[0].report), facts(&seen[1].report));
            wrong.push(format!("{way} under the one plan and the other"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn a_flood_hides_no_connection(report: &Report) {
    let peer = all_effects(report).find(|one| one.facet == Connect && one.object == "127.0.0.1:7000");
    assert!(peer.is_some(), "{:#?}", report.limits);
    let opens = all_effects(report).filter(|one| one.object.starts_with("/nowhere/")).map(|one| one.count).sum::<u64>();
    assert!(opens > 100 && report.case.lost > 0, "{opens} seen, {} lost", report.case.lost);
    assert_eq!(opens + report.case.lost, 20_000, "what is not there is counted, to the last one");
}

fn names_are_filled_in(report: &Report) {
    // The name server is a followed process: what it answers is shown, and names nobody.
    for (number, way) in [(1, "libc"), (2, "raw"), (3, "stream")] {
        let (name, address) = (format!("{way}.example"), format!("127.0.1.{number}"));
        let told = Some(format!("is {address}"));
        assert!(all_effects(report).any(|one| one.object == name && one.detail == told), "{name}");
        let peer = all_effects(report).find(|one| one.facet == Connect && one.object == format!("{address}:443"));
        assert!(peer.is_some_and(|peer| peer.names.is_empty()), "{name}");
    }
    let tls = all_effects(report).find(|one| one.facet == Connect && one.object == "127.0.2.1:443");
    let names: Vec<String> = tls.iter().flat_map(|peer| &peer.names).map(ToString::to_string).collect();
    assert_eq!(names, ["tls.example (TLS)"]);
    let missing = all_effects(report).any(|one| one.object == "nowhere.example" && one.outcome == "NXDOMAIN");
    assert!(missing, "{:#?}", facts(report));
}
