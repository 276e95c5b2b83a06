//! Cases as they come back from the field: cut off, mixed up, of another version, or not cases at all. The analyser
//! either stops with exit status 2 and names the file, or reports and states the gap. It never panics, and is never
//! silent.

use argus_schemas::report::Severity;
use argus_tests::{Scratch, analyze, copy_folder, report, sample_cases, shown};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// A sound case to break.
fn sound() -> PathBuf {
    let cases = sample_cases();
    cases.into_iter().find(|case| case.to_string_lossy().contains("poisoned-config")).expect("the sample")
}

/// The first Parquet file of a table.
fn first_segment(case: &Path, table: &str) -> PathBuf {
    let entries = fs::read_dir(case.join(table)).expect("the table has a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    files.sort();
    files.into_iter().next().unwrap_or_else(|| panic!("{table} has a segment"))
}

fn edit_manifest(case: &Path, edit: impl FnOnce(&mut Value)) {
    let path = case.join("manifest.json");
    let mut manifest = serde_json::from_str(&fs::read_to_string(&path).expect("readable")).expect("JSON");
    edit(&mut manifest);
    fs::write(&path, manifest.to_string()).expect("writable");
}

/// Forgets files whose path begins so, as if the capture had never written them.
fn forget(case: &Path, prefix: &str) {
    edit_manifest(case, |manifest| {
        let files = manifest["files"].as_array_mut().expect("a list");
        files.retain(|file| !file["path"].as_str().expect("a path").starts_with(prefix));
    });
}

enum Expected {
    /// Exit status 2, with a message that holds this text.
    Refused(&'static str),
    /// A report, which holds at least one of these texts.
    Stated(&'static [&'static str]),
}
use Expected::{Refused, Stated};

#[track_caller]
fn check(name: &str, expected: &Expected, break_it: impl FnOnce(&Path)) {
    let scratch = Scratch::new("hostile");
    let case = scratch.join("broken.argus");
    copy_folder(&sound(), &case);
    break_it(&case);
    check_path(name, expected, &case, &scratch);
}

#[track_caller]
fn check_path(name: &str, expected: &Expected, case: &Path, scratch: &Scratch) {
    let file = scratch.join("report.md");
    let output = analyze(&[OsStr::new("report"), case.as_os_str(), OsStr::new("-o"), file.as_os_str()]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{name}: {}", shown(&output));
    // A long path may be broken over lines in the message.
    let joined: String = stderr.chars().filter(|c| !c.is_whitespace() && !"│×╰─▶├".contains(*c)).collect();
    let refused = |names: &str| output.status.code() == Some(2) && joined.contains(names);
    let stated = |texts: &[&str]| {
        output.status.code() == Some(0)
            && fs::read_to_string(&file).is_ok_and(|report| texts.iter().any(|text| report.contains(text)))
    };
    let fine = match expected {
        Refused(names) => refused(names),
        Stated(texts) => stated(texts),
    };
    let report = fs::read_to_string(&file).unwrap_or_else(|_| "(none)".to_owned());
    let head: String = report.chars().take(3000).collect();
    assert!(fine, "{name}: {}--- report\n{head}", shown(&output));

    // No command panics on it, whatever it answers.
    for command in ["timeline", "tools", "tree", "verify"] {
        let output = analyze(&[OsStr::new(command), case.as_os_str()]);
        let code = output.status.code();
        assert!(matches!(code, Some(0..=2)), "{name}, {command}: {}", shown(&output));
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{name}, {command}: {}", shown(&output));
    }
}

/// What is said of a segment that is not what the manifest names.
const LEFT_OUT: Expected = Stated(&["kernel events is left out: it is not what was recorded"]);

#[test]
fn a_path_is_no_pattern() {
    for name in ["odd [1]*?{a}.argus", "~.argus", "pid=7", "s3:x%20\u{1b}[31m\u{202e}.argus"] {
        let scratch = Scratch::new("odd [x]*?{b}");
        let case = scratch.join(name).join(name);
        copy_folder(&sound(), &case);
        let (report, verdicts) = (scratch.join("report.md"), scratch.join("verdicts [1]*.parquet"));
        let outputs: [&[&OsStr]; 4] = [
            &["report".as_ref(), case.as_os_str(), "-o".as_ref(), report.as_os_str()],
            &["verify".as_ref(), case.as_os_str()],
            &["timeline".as_ref(), case.as_os_str()],
            &["attribute".as_ref(), case.as_os_str(), "-o".as_ref(), verdicts.as_os_str()],
        ];
        for arguments in outputs {
            let output = analyze(arguments);
            assert!(output.status.success(), "{name:?} {arguments:?}: {}", shown(&output));
        }
        let told = fs::read_to_string(report).expect("the report was written");
        assert!(told.contains("203.0.113.66:8080"), "{told}");
        assert!(fs::metadata(verdicts).expect("they were written").len() > 0);
        // From within, by the last part of the name alone.
        let mut within = std::process::Command::new(argus_tests::program("argus-analyze"));
        let output = argus_tests::run(within.current_dir(scratch.join(name)).args(["verify", name]));
        assert!(output.status.success(), "{name:?}: {}", shown(&output));
    }
}

#[test]
fn truncated_parquet() {
    for length in [0, 3, 100] {
        check("events cut off", &LEFT_OUT, |case| {
            let path = first_segment(case, "events");
            let bytes = fs::read(&path).expect("readable");
            fs::write(path, &bytes[..length.min(bytes.len())]).expect("writable");
        });
    }
    check("events without their last byte", &LEFT_OUT, |case| {
        let path = first_segment(case, "events");
        let bytes = fs::read(&path).expect("readable");
        fs::write(path, &bytes[..bytes.len() - 1]).expect("writable");
    });
}

#[test]
fn flipped_bytes() {
    // Whether the change is in a page, the footer or the padding, the hash tells.
    for part in [4, 2, 1] {
        check("a changed byte", &LEFT_OUT, |case| {
            let path = first_segment(case, "events");
            let mut bytes = fs::read(&path).expect("readable");
            let at = (bytes.len() - 9) / part;
            bytes[at] ^= 0x55;
            fs::write(path, bytes).expect("writable");
        });
    }
}

#[test]
fn foreign_parquet() {
    check("a picture in the place of events", &LEFT_OUT, |case| {
        fs::write(first_segment(case, "events"), b"\x89PNG\r\n\x1a\n and so on").expect("writable");
    });
    check("spans in the place of events", &LEFT_OUT, |case| {
        fs::copy(first_segment(case, "spans"), first_segment(case, "events")).expect("writable");
    });
    check(
        "events in the place of spans",
        &Stated(&["Of what the agent said, 1 file is not what was recorded"]),
        |case| {
            fs::copy(first_segment(case, "events"), first_segment(case, "spans")).expect("writable");
        },
    );
}

#[test]
fn missing_segment() {
    check("a missing segment", &LEFT_OUT, |case| {
        fs::remove_file(first_segment(case, "events")).expect("removable");
    });
}

#[test]
fn manifest_of_another_version() {
    check("version 99", &Refused("99"), |case| edit_manifest(case, |manifest| manifest["format_version"] = 99.into()));
}

#[test]
fn manifest_that_is_none() {
    for content in ["", "{", "[]", "null", "not JSON", "{\"format_version\":\"one\"}", "{\"format_version\":1}"] {
        check(content, &Refused("manifest.json"), |case| {
            fs::write(case.join("manifest.json"), content).expect("writable");
        });
    }
    check("no UTF-8", &Refused("manifest.json"), |case| {
        fs::write(case.join("manifest.json"), b"{\"writer\":\"\xff\"}").expect("writable");
    });
    check("no manifest", &Refused("manifest.json"), |case| {
        fs::remove_file(case.join("manifest.json")).expect("removable");
    });
}

#[test]
fn not_a_case() {
    let scratch = Scratch::new("hostile");
    let empty = scratch.join("empty.argus");
    fs::create_dir(&empty).expect("a folder can be made");
    check_path("an empty folder", &Refused("manifest.json"), &empty, &scratch);
    check_path("no such path", &Refused("nowhere.argus"), &scratch.join("nowhere.argus"), &scratch);
    let file = scratch.join("file.argus");
    fs::write(&file, "text").expect("writable");
    check_path("a file", &Refused("file.argus"), &file, &scratch);
}

#[test]
fn without_spans() {
    check("no spans", &Stated(&["no span", "No span", "no agent", "No agent"]), |case| {
        fs::remove_dir_all(case.join("spans")).expect("removable");
        fs::remove_dir_all(case.join("marks")).expect("removable");
        forget(case, "spans/");
        forget(case, "marks/");
    });
}

#[test]
fn without_events() {
    check("no events", &Stated(&["no kernel event", "No kernel event", "no event", "No event"]), |case| {
        fs::remove_dir_all(case.join("events")).expect("removable");
        forget(case, "events/");
    });
}

#[test]
fn killed_capture() {
    check("no end in the manifest", &Stated(&["unclean", "not end", "killed", "did not"]), |case| {
        edit_manifest(case, |manifest| manifest["end"] = Value::Null);
    });
}

#[test]
fn broken_journal() {
    check("broken journal lines", &Stated(&["`spans/received.jsonl` was changed"]), |case| {
        let path = case.join("spans/received.jsonl");
        let mut text = fs::read(&path).unwrap_or_default();
        text.extend_from_slice(b"{\"boot_ns\":1,\"source\":\"socket\",\"line\":\"{{{\"}\nnot an envelope\n\xff\xfe\n");
        fs::write(path, text).expect("writable");
    });
}

#[test]
fn what_a_damaged_segment_held_is_said_to_be_unknown_and_not_absent() {
    let scratch = Scratch::new("hostile");
    let case = scratch.join("broken.argus");
    copy_folder(&sound(), &case);
    let whole = report(&case);
    assert!(whole.calls.iter().any(|call| !call.none_of.is_empty()), "the sound case lets absence be claimed");
    let segment = first_segment(&case, "events");
    let zeros = vec![0; fs::metadata(&segment).expect("it is there").len() as usize];
    fs::write(&segment, zeros).expect("writable");
    let broken = report(&case);
    let finding = broken.findings.iter().find(|finding| finding.rule == "damaged-segment").expect("it is found");
    assert_eq!(finding.severity, Severity::High);
    assert!(finding.details.iter().any(|detail| detail.contains("between 0.000000 s and")), "{finding:#?}");
    assert_eq!(broken.case.lost, whole.case.events, "what it held is counted as lost");
    for call in &broken.calls {
        assert!(call.none_of.is_empty(), "{:?} is claimed of a record that is gone", call.none_of);
        assert!(call.cannot_conclude.iter().any(|why| why.contains("segment_left_out")), "{:?}", call.cannot_conclude);
    }
    let line = broken.timeline.iter().find(|line| line.what == "record").expect("the timeline tells of the gap");
    assert!(line.text.contains("events were lost until"), "{line:?}");
}

/// Whether `verify` takes a file that is in no list for the tail of an interrupted capture, or for an addition.
#[track_caller]
fn unlisted(case: &Path, name: &str, content: &[u8], is_tail: bool) {
    let path = case.join(name);
    fs::write(&path, content).expect("writable");
    let output = analyze(&[OsStr::new("verify"), case.as_os_str()]);
    fs::remove_file(&path).expect("removable");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{name}: {text}");
    assert_eq!(text.contains(&format!("its tail: {name} (")), is_tail, "{name}: {text}");
    assert_eq!(text.contains(&format!("{name} is not in the manifest")), !is_tail, "{name}: {text}");
    assert_eq!(
        text.contains("The capture was interrupted; what it recorded until then agrees"),
        is_tail,
        "{name}: {text}"
    );
}

#[test]
fn the_tail_of_an_interrupted_capture_is_told_from_what_was_added() {
    let scratch = Scratch::new("hostile");
    let case = scratch.join("killed.argus");
    copy_folder(&sound(), &case);
    let listed = first_segment(&case, "events");
    let events = fs::read(&listed).expect("readable");
    let number: u32 = listed.file_stem().and_then(OsStr::to_str).expect("a name").parse().expect("a number");
    let segment = |number: u32| format!("events/{number:06}.parquet");
    unlisted(&case, &segment(number + 1), b"PAR1", false);
    edit_manifest(&case, |manifest| manifest["end"] = Value::Null);
    for (name, content, is_tail) in [
        (segment(number + 1), &b"PAR1 and cut off"[..], true),
        ("manifest.json.next".to_owned(), b"{", true),
        (segment(number + 2), b"PAR1 and cut off", false),
        // What is in the record already does not come after it.
        (segment(number + 1), &events, false),
        ("events/x.parquet".to_owned(), b"", false),
        ("events/000001.parquet.bak".to_owned(), b"", false),
        ("spans/000002.parquet".to_owned(), b"", false),
        ("notes.txt".to_owned(), b"", false),
    ] {
        unlisted(&case, &name, content, is_tail);
    }
}

#[test]
fn a_table_that_was_added_is_nobodys_word() {
    let scratch = Scratch::new("hostile");
    let case = scratch.join("added.argus");
    copy_folder(&sound(), &case);
    let before = report(&case);
    for (table, findings) in [("events", 1), ("spans", 1), ("marks", 1)] {
        let added = case.join(table).join("000009.parquet");
        fs::copy(first_segment(&case, table), &added).expect("it can be copied");
        let after = report(&case);
        fs::remove_file(added).expect("removable");
        let found = after.findings.iter().filter(|one| one.rule == "unlisted-file" && one.severity == Severity::High);
        assert_eq!(found.count(), findings, "{table}");
        assert_eq!((&after.calls, after.case.events), (&before.calls, before.case.events), "{table}");
    }
}

/// Whoever hands over a case could otherwise have files of the reader's own machine in the report, or hold it up for good.
#[test]
fn what_leads_out_of_the_case() {
    const SECRET: &str = "a secret of the reader's machine";
    let scratch = Scratch::new("hostile-links");
    let secret = scratch.join("secret.jsonl");
    fs::write(&secret, format!("{SECRET}\n")).expect("writable");
    let put = |case: &Path, name: &str, link: bool| {
        let path = case.join(name);
        if path.is_dir() {
            fs::rename(&path, scratch.join(name)).expect("movable");
        } else {
            fs::remove_file(&path).expect("removable");
        }
        if link {
            let elsewhere = if name.contains('/') { secret.clone() } else { scratch.join(name) };
            std::os::unix::fs::symlink(elsewhere, path).expect("linkable");
        } else {
            let made = std::process::Command::new("mkfifo").arg(&path).status().expect("it can be run");
            assert!(made.success());
        }
    };
    let stated = Stated(&["Links or pipes lie in the case"]);
    for (name, link) in [
        ("events/000001.parquet", true),
        ("events/000001.parquet", false),
        ("spans/received.jsonl", true),
        ("spans", true),
    ] {
        check(&format!("{name} leads elsewhere"), &stated, |case| put(case, name, link));
        let case = scratch.join("verified.argus");
        copy_folder(&sound(), &case);
        let _ = fs::remove_dir_all(scratch.join("spans"));
        put(&case, name, link);
        let output = analyze(&["verify".as_ref(), case.as_os_str()]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", shown(&output));
        assert!(shown(&output).contains("no file of this case"), "{name}: {}", shown(&output));
        assert!(!shown(&output).contains(SECRET), "{name}: {}", shown(&output));
        fs::remove_dir_all(&case).expect("removable");
    }
    for path in ["../secret.jsonl", "/dev/zero", "events/../../secret.jsonl"] {
        check("a manifest that names another file", &Refused("manifest.json"), |case| {
            edit_manifest(case, |manifest| manifest["files"][0]["path"] = path.into());
        });
    }
}

#[test]
fn a_log_in_utf_16_is_told_how_to_be_read() {
    let scratch = Scratch::new("utf-16");
    let (case, log) = (scratch.join("sound.argus"), scratch.join("log.jsonl"));
    copy_folder(&sound(), &case);
    let units = "\u{feff}{\"type\":\"user\",\"sessionId\":\"s\"}\n".encode_utf16();
    fs::write(&log, units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()).expect("writable");
    for format in [&[][..], &["--format".as_ref(), "claude-code".as_ref()]] {
        let output = analyze(&[&["import".as_ref(), case.as_os_str(), log.as_os_str()], format].concat());
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        assert!(String::from_utf8_lossy(&output.stderr).contains("iconv"), "{}", shown(&output));
    }
}
