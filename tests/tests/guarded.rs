//! The case and its recorder, against an agent that is root and wants neither: what it takes away is put back, what it
//! changes shows, and what it could get hold of is little.

use argus_schemas::report::{Facet, Report, Severity};
use argus_tests::{Scratch, all_effects, analyze, as_root, can_capture, capture, on_path, one_at_a_time, program};
use argus_tests::{report, run, shown, skip};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

fn ready(what: &str) -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0);
    match can_capture() {
        Ok(()) if root => return true,
        Ok(()) => skip(what, "only an agent that is root can reach for the case"),
        Err(why) => skip(what, &why),
    }
    false
}

fn text(path: &Path) -> String {
    path.to_str().expect("the path is UTF-8").to_owned()
}

/// Whether a file was made, by the record.
fn made(report: &Report, path: &str) -> bool {
    all_effects(report).any(|effect| effect.facet == Facet::Write && effect.object == path && effect.outcome == "ok")
}

/// An agent does `attack` to the case, its `$1`, and works on, once at once and once after the case is back, beside the
/// old one or in its place; what lies there in the end tells of it all.
#[track_caller]
fn check(scratch: &Scratch, case: &Path, attack: &str, found: &str) {
    let (before, after, later) = (scratch.join("before"), scratch.join("after"), scratch.join("later"));
    let script = format!(
        r#": >"$2"; {attack}; : >"$3"; until cat "${{1%.argus}}"*/manifest.json 2>/dev/null | grep -q went_on_at; do :; done; : >"$4""#
    );
    let [case_text, before, after, later] = [case, &before, &after, &later].map(text);
    let output = capture(case, &[], &[], &["sh", "-c", &script, "sh", &case_text, &before, &after, &later]);
    assert!(output.status.success(), "{}", shown(&output));
    let beside = fs::read_dir(case.parent().expect("it lies in a folder")).expect("it is there").flatten();
    let mut beside = beside.map(|entry| entry.path()).filter(|path| text(path).contains("g.rescued-"));
    let place = &beside.next().unwrap_or_else(|| case.to_owned());
    let report = report(place);
    for path in [&before, &after, &later] {
        assert!(made(&report, path), "{path} is not in the record after {attack}");
    }
    assert!(report.case.clean && report.case.lost == 0, "{:?}", report.case);
    let rules: Vec<_> = report.findings.iter().map(|finding| (finding.rule.as_str(), finding.severity)).collect();
    for rule in ["case-disturbed", "recorder-attacked"] {
        assert!(rules.contains(&(rule, Severity::Critical)), "{rule} is not among {rules:?} after {attack}");
    }
    let verified = analyze(&[OsStr::new("verify"), place.as_os_str()]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert!(matches!(failed[..], [line] if line.contains("undisturbed") && line.contains(found)), "{said}");
}

#[test]
fn a_case_that_is_taken_away_is_put_back() {
    if !ready("taking the case away") {
        return;
    }
    let _alone = one_at_a_time();
    for (attack, found) in [
        (r#"rm -rf "$1""#, "the case was removed"),
        (r#"mv "$1" "$1.elsewhere""#, "the case was moved away"),
        (r#"rm -rf "$1"/events "$1"/manifest.json"#, "files of the case were removed"),
    ] {
        let scratch = Scratch::new("guarded");
        let case = scratch.join("g.argus");
        check(&scratch, &case, attack, found);
    }
}

/// Without the right to write where every user may, a recorder goes on beside what is not its own any more.
#[test]
fn a_case_that_is_given_away_is_left_there() {
    if !ready("giving the case away") {
        return;
    }
    let _alone = one_at_a_time();
    for (attack, found) in [
        (r#"chown 65534 "$1""#, "given to another user"),
        (r#"chmod 0 "$1""#, "its permissions taken away"),
        (r#"chown 65534 "$1/events""#, "made unwritable"),
    ] {
        let scratch = Scratch::new("given");
        check(&scratch, &scratch.join("g.argus"), attack, found);
    }
}

#[test]
fn a_case_that_is_unmounted_is_put_back() {
    if !ready("unmounting the case") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("unmounted");
    let disk = scratch.join("disk");
    fs::create_dir_all(&disk).expect("a folder can be made");
    let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "argus-test"]).arg(&disk));
    if !mounted.status.success() {
        return skip("unmounting the case", &shown(&mounted));
    }
    let case = disk.join("g.argus");
    // In use, it can only be unmounted lazily; the first try is an attempt all the same.
    let attack = r#"umount "${1%/*}" 2>/dev/null; umount -l "${1%/*}""#;
    check(&scratch, &case, attack, "unmounted");
}

/// What the kernel lets one process do to another through files, and what the agent speaks through.
#[test]
fn handles_on_the_recorder_are_named() {
    if !ready("the kernel's handles on the recorder") {
        return;
    }
    let _alone = one_at_a_time();
    for (attack, title) in [
        ("echo 0 >/proc/$PPID/oom_score_adj", "/oom_score_adj, which belongs to the recorder"),
        (": 3<>/proc/$PPID/mem", "/mem, which belongs to the recorder"),
        ("rm $ARGUS_SOCKET", "deleted"),
    ] {
        let scratch = Scratch::new("handles");
        let case = scratch.join("h.argus");
        let output = capture(&case, &[], &[], &["sh", "-c", attack]);
        assert!(output.status.success(), "{}", shown(&output));
        let report = report(&case);
        let found: Vec<_> = report.findings.iter().filter(|one| one.rule == "recorder-attacked").collect();
        let [found] = found[..] else { panic!("{attack}: {:#?}", report.findings) };
        assert!(found.severity == Severity::Critical && found.title.contains(title), "{attack}: {found:#?}");
    }
}

#[test]
fn programs_without_the_captures_variables_are_named() {
    if !ready("unsetting the capture's variables") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("unset");
    let case = scratch.join("u.argus");
    let output =
        capture(&case, &[], &[], &["sh", "-c", "/bin/true; env -u ARGUS_SOCKET /bin/true; env -i /bin/true x"]);
    assert!(output.status.success(), "{}", shown(&output));
    let report = report(&case);
    let found: Vec<_> = report.findings.iter().filter(|one| one.rule == "capture-variables-unset").collect();
    assert_eq!(found.len(), 1, "{:#?}", report.findings);
    assert_eq!(found[0].details[..2], ["`/bin/true`.", "`/bin/true x`."], "{found:#?}");
}

#[test]
fn the_case_is_its_owners_and_lies_where_it_was_told_to() {
    if !ready("a private case") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("private");
    let open = scratch.join("open.argus");
    fs::create_dir(&open).expect("a folder can be made");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("they can be set");
    std::os::unix::fs::chown(&open, Some(65_534), Some(65_534)).expect("root may");
    assert!(capture(&open, &[], &[], &["true"]).status.success());
    for path in [open.clone(), open.join("events"), open.join("spans"), open.join("marks")] {
        let meta = fs::metadata(&path).expect("it is there");
        assert_eq!((meta.uid(), meta.mode() & 0o777), (0, 0o700), "{}", path.display());
    }
    let manifest = fs::metadata(open.join("manifest.json")).expect("it is there");
    assert_eq!((manifest.uid(), manifest.mode() & 0o777), (0, 0o600));

    fs::create_dir(scratch.join("real")).expect("a folder can be made");
    symlink(scratch.join("real"), scratch.join("link")).expect("a link can be made");
    for path in ["link", "link/x.argus"] {
        let output = capture(&scratch.join(path), &[], &[], &["true"]);
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        assert!(shown(&output).contains("is a symbolic link"), "{}", shown(&output));
    }
    assert_eq!(fs::read_dir(scratch.join("real")).expect("it is there").count(), 0);
}

/// Capabilities as Linux numbers them: CAP_KILL alone.
const CAP_KILL_ALONE: &str = "CapEff:\t0000000000000020";

#[test]
fn the_recorder_keeps_few_rights_and_admits_few() {
    if !ready("the recorder's rights") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("rights");
    let output = capture(
        &scratch.join("r.argus"),
        &[],
        &[],
        &["sh", "-c", "grep -h -e CapEff -e NoNewPrivs /proc/$PPID/task/*/status; grep CapEff /proc/self/status"],
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<&str> = said.lines().collect();
    let commands = lines.pop().expect("the command's own line");
    assert_ne!(commands, CAP_KILL_ALONE, "the command keeps what it had");
    assert_eq!(lines.iter().filter(|line| **line == "NoNewPrivs:\t1").count(), 2, "{said}");
    assert!(lines.contains(&CAP_KILL_ALONE) && lines.contains(&"CapEff:\t0000000000000000"), "{said}");
    assert_eq!(lines.len(), 4, "{said}");

    // The socket is the command's user's. Another user, be it of a process in the subtree, does not reach it.
    let other = "import os, socket\nos.setuid(65534)\ntry:\n socket.socket(socket.AF_UNIX).connect(os.environ['ARGUS_SOCKET'])\n\
                 except PermissionError: print('refused')";
    let output = capture(&scratch.join("s.argus"), &[], &[], &["python3", "-c", other]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "refused\n", "{}", shown(&output));
}

fn key(path: &Path) {
    let made = run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path));
    assert!(made.status.success(), "{}", shown(&made));
}

/// The line on the signature that `verify` prints.
fn signature(case: &Path, signer: Option<&Path>) -> String {
    let mut arguments = vec![OsStr::new("verify"), case.as_os_str()];
    if let Some(signer) = signer {
        arguments.extend([OsStr::new("--signer"), signer.as_os_str()]);
    }
    let output = analyze(&arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.contains("signature")).unwrap_or_else(|| panic!("{}", shown(&output)));
    line.to_owned()
}

#[test]
fn a_signature_shows_who_recorded_and_that_nothing_was_changed() {
    if !ready("signing a case") {
        return;
    }
    if !on_path("ssh-keygen") {
        return skip("signing a case", "ssh-keygen is not installed");
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("signed");
    let (case, unsigned) = (scratch.join("s.argus"), scratch.join("u.argus"));
    let (own, other) = (scratch.join("own"), scratch.join("other"));
    [&own, &other].into_iter().for_each(|path| key(path));
    let [own_public, other_public] = ["own.pub", "other.pub"].map(|name| scratch.join(name));
    assert!(capture(&case, &["--sign", &text(&own)], &[], &["true"]).status.success());
    assert!(capture(&unsigned, &[], &[], &["true"]).status.success());
    assert!(signature(&case, Some(&own_public)).starts_with("ok"));
    assert!(signature(&case, None).starts_with("ok"));
    assert!(signature(&case, Some(&other_public)).starts_with("FAIL"));
    assert!(signature(&unsigned, None).contains("nobody signed the case"));
    assert!(signature(&unsigned, Some(&own_public)).starts_with("FAIL"));
    // Whoever has no Argus can check it too.
    let manifest = fs::File::open(case.join("manifest.json")).expect("it is there");
    let checked = run(Command::new("ssh-keygen")
        .args(["-Y", "check-novalidate", "-n", "argus-case", "-s"])
        .arg(case.join("manifest.json.sig"))
        .stdin(manifest));
    assert!(checked.status.success(), "{}", shown(&checked));

    let manifest = fs::read_to_string(case.join("manifest.json")).expect("it is there");
    fs::write(case.join("manifest.json"), manifest.replacen("\"true\"", "\"false\"", 1)).expect("root may");
    assert!(signature(&case, None).starts_with("FAIL"));
    fs::write(case.join("manifest.json"), manifest).expect("root may");
    assert!(signature(&case, None).starts_with("ok"));
    fs::remove_file(case.join("manifest.json.sig")).expect("root may");
    assert!(signature(&case, None).starts_with("FAIL"));

    // Killed at any instant, it is signed as far as it came.
    for round in 0..5 {
        let case = scratch.join(format!("k{round}.argus"));
        let mut recorder = as_root(program("argus-capture"))
            .args(["run", "--sign", &text(&own), "-o", &text(&case), "--", "sh", "-c"])
            .arg("echo began; n=0; while [ $n -lt 300 ]; do /bin/true; n=$((n+1)); done; kill -9 $PPID")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the capture starts");
        let mut line = String::new();
        let lines = recorder.stdout.as_mut().expect("it is piped");
        BufReader::new(lines).read_line(&mut line).expect("the command speaks");
        assert!(!recorder.wait().expect("it is killed").success());
        assert!(signature(&case, Some(&own_public)).starts_with("ok"), "{}", signature(&case, None));
    }

    let none = capture(&scratch.join("n.argus"), &["--sign", &text(&own_public)], &[], &["true"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(shown(&none).contains("cannot be signed with"), "{}", shown(&none));
    assert!(!scratch.join("n.argus").exists(), "an error leaves no case");
}
