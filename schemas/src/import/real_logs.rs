//! The readers on logs that real agents wrote. They are other people's and no part of this project: the folder that
//! holds them is named by `ARGUS_TRANSCRIPTS`, and without it nothing can be checked.

use super::testing::{lines_holding, read_all, survives_changes};
use super::{ForeignSpan, Format, Imported, detect};
use std::path::PathBuf;

fn log(name: &str) -> String {
    let folder = std::env::var_os("ARGUS_TRANSCRIPTS").expect("ARGUS_TRANSCRIPTS names the folder of real logs");
    std::fs::read_to_string(PathBuf::from(folder).join(name)).expect("the log is there")
}

fn import(name: &str, format: Format) -> Imported {
    let log = log(name);
    assert_eq!(detect(&log.as_bytes()[..log.len().min(8192)]), Some(format), "{name}");
    read_all(format, log)
}

/// What is expected of a log.
struct Expected<'a> {
    /// Spans by kind: agent, llm, tool, step.
    kinds: [usize; 4],
    /// Tool calls by status: ok, error, not said.
    statuses: [usize; 3],
    /// Parts: read, understood, known to tell of no call.
    counts: [u64; 3],
    /// The versions that it names, all known.
    versions: &'a [&'a str],
    /// Of one call: its id, its name, a part of its arguments, and the window in which it ran: from the first
    /// millisecond since 1970, so many milliseconds.
    call: Option<(&'a str, &'a str, &'a str, u64, u64)>,
}

fn check(name: &str, format: Format, expected: &Expected) {
    let got = import(name, format);
    let of_kind = |kind: &str| got.spans.iter().filter(|span| span.kind == kind).count();
    assert_eq!(["agent", "llm", "tool", "step"].map(of_kind), expected.kinds, "{name}: kinds");
    let tools: Vec<&ForeignSpan> = got.spans.iter().filter(|span| span.kind == "tool").collect();
    let of_status = |status: Option<&str>| tools.iter().filter(|span| span.status.as_deref() == status).count();
    assert_eq!([Some("ok"), Some("error"), None].map(of_status), expected.statuses, "{name}: statuses");
    let counts = &got.counts;
    assert_eq!([counts.read, counts.understood, counts.without_calls], expected.counts, "{name}: {counts:?}");
    assert!(counts.not_understood.is_empty() && counts.doubts.is_empty(), "{name}: {counts:?}");
    let versions: Vec<_> = got.versions.iter().map(|(version, known)| (version.as_str(), *known)).collect();
    assert_eq!(versions, expected.versions.iter().map(|version| (*version, true)).collect::<Vec<_>>(), "{name}");
    for tool in &tools {
        let end = tool.end.expect("every call of these logs ended");
        assert!(tool.start.from_ns <= end.from_ns && tool.start.to_ns <= end.to_ns, "{name}: {tool:?}");
        assert!(tool.args.is_some() && tool.result.is_some(), "{name}: {tool:?}");
    }
    if let Some((id, tool, args, from_ms, length_ms)) = expected.call {
        let call = tools.iter().find(|span| span.call_id.as_deref() == Some(id)).expect("the call is there");
        assert_eq!(call.name, tool);
        assert!(call.args.as_deref().is_some_and(|text| text.contains(args)), "{name}: {call:?}");
        let end = call.end.expect("it ended");
        assert_eq!(
            (call.start.from_ns / 1_000_000, (end.to_ns - call.start.from_ns) / 1_000_000),
            (from_ms, length_ms)
        );
    }
}

#[test]
#[ignore = "needs ARGUS_TRANSCRIPTS, a folder of real logs"]
fn every_call_of_the_real_logs_is_read() {
    let glob = ("toolu_0173gGuN8G4FkjzEPrXPe2ea", "Glob", "**/*.py", 1_768_976_380_870, 293);
    check(
        "claude-code-2.1-coverage.jsonl",
        Format::ClaudeCode,
        &Expected {
            kinds: [1, 14, 13, 0],
            statuses: [12, 1, 0],
            counts: [38, 34, 4],
            versions: &["2.1.14"],
            call: Some(glob),
        },
    );
    let python = ("toolu_018wyD7tsdUTdHqZ9jm8QUmz", "Bash", "cd myapp && python3 hoge.py", 1_765_309_711_225, 2_659);
    check(
        "claude-code-session.jsonl",
        Format::ClaudeCode,
        &Expected {
            kinds: [1, 6, 4, 0],
            statuses: [3, 1, 0],
            counts: [26, 17, 9],
            versions: &["2.0.28"],
            call: Some(python),
        },
    );
    let redacted = ("call_gL2iTwQbQ9Tg1BKGl350ZGKp", "exec_command", "REDACTED", 1_771_846_898_801, 232);
    check(
        "codex-0.104-rollout.jsonl",
        Format::Codex,
        &Expected {
            kinds: [1, 0, 118, 0],
            statuses: [0, 0, 118],
            counts: [417, 237, 180],
            versions: &["0.104.0-alpha.1"],
            call: Some(redacted),
        },
    );
    // A person was asked for four seconds whether it might run.
    let asked = ("call_hm1XO5EQnKjpErxjNjpINQ2x", "shell_command", "python hoge.py", 1_765_310_155_347, 4_151);
    check(
        "codex-session.jsonl",
        Format::Codex,
        &Expected {
            kinds: [1, 0, 5, 0],
            statuses: [3, 2, 0],
            counts: [55, 11, 44],
            versions: &["0.66.0"],
            call: Some(asked),
        },
    );
    let mkdir = (
        "run_shell_command-1765309910095-ad8431786e6368",
        "run_shell_command",
        "mkdir myapp",
        1_765_309_910_095,
        24_421,
    );
    check(
        "gemini-session.json",
        Format::Gemini,
        &Expected { kinds: [1, 7, 5, 0], statuses: [5, 0, 0], counts: [9, 7, 2], versions: &[], call: Some(mkdir) },
    );
    check(
        "otlp-agent-traces.json",
        Format::Otlp,
        &Expected {
            kinds: [0, 0, 0, 2],
            statuses: [0, 0, 0],
            counts: [2, 2, 0],
            versions: &["OpenTelemetry python 1.34.1"],
            call: None,
        },
    );
    let pids: Vec<_> = import("otlp-agent-traces.json", Format::Otlp).spans.iter().map(|span| span.pid).collect();
    assert_eq!(pids, [Some(18205), Some(18232)]);
}

#[test]
#[ignore = "needs ARGUS_TRANSCRIPTS, a folder of real logs"]
fn any_change_of_a_real_log_costs_only_the_lines_that_it_touches() {
    for (name, format) in [
        ("claude-code-2.1-coverage.jsonl", Format::ClaudeCode),
        ("claude-code-session.jsonl", Format::ClaudeCode),
        ("codex-0.104-rollout.jsonl", Format::Codex),
        ("codex-session.jsonl", Format::Codex),
    ] {
        let log = log(name);
        survives_changes(format, &log, &|call| lines_holding(&log, call));
    }
}

/// A session is one document, so a change may cost what comes after it; whatever is read is counted once, and of one that
/// was cut off every message before the cut is read.
#[test]
#[ignore = "needs ARGUS_TRANSCRIPTS, a folder of real logs"]
fn a_real_document_that_is_cut_keeps_what_came_before() {
    let log = log("gemini-session.json");
    let whole = read_all(Format::Gemini, &log);
    let mut kept = 0;
    for length in (0..log.len()).filter(|length| log.is_char_boundary(*length)).step_by(7) {
        let got = read_all(Format::Gemini, &log[..length]);
        for span in whole.spans.iter().filter(|span| span.kind == "tool") {
            let id = span.call_id.as_deref().expect("a call id");
            // A message is whole where the next one begins.
            let after =
                log.rfind(id).and_then(|at| log[at..].find("\"renderOutputAsMarkdown\"").map(|more| at + more + 100));
            if after.is_some_and(|after| after < length) {
                let same = got.spans.iter().any(|one| one.span_id == span.span_id && one.end == span.end);
                assert!(same, "{length}: {id}");
                kept += 1;
            }
        }
    }
    assert!(kept > 1_000, "cuts left calls whole: {kept}");
}
