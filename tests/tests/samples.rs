//! The sample traces: each report is compared with the one in tests/goldens, and the fact that each incident is about
//! is looked for by name. `UPDATE_GOLDENS=1` rewrites the goldens; read their diff before committing it.

use argus_schemas::report::{Effect, Expectation, Facet, Finding, Severity};
use argus_tests::{Scratch, analyze, analyze_on_one_thread, report, sample_cases, shown, workspace};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const INCIDENTS: [&str; 4] = ["formatter-deletes", "hundred-runs", "metadata-ssrf", "poisoned-config"];

/// The cases of one incident, in order of their names.
fn cases_of(incident: &str) -> Vec<PathBuf> {
    let folder = workspace().join("sample-traces").join(incident);
    let cases: Vec<_> = sample_cases().into_iter().filter(|case| case.starts_with(&folder)).collect();
    assert!(!cases.is_empty(), "{} holds a case", folder.display());
    cases
}

fn markdown(case: &Path) -> String {
    let scratch = Scratch::new("golden");
    let file = scratch.join("report.md");
    let output = analyze(&[OsStr::new("report"), case.as_os_str(), OsStr::new("-o"), file.as_os_str()]);
    assert!(output.status.success(), "{}: {}", case.display(), shown(&output));
    std::fs::read_to_string(file).expect("the report was written")
}

/// Compares the report with its golden. A sample never changes, and a report holds nothing of the machine that made
/// it, so the two are equal byte for byte.
fn check_golden(case: &Path) {
    let name = case.file_stem().and_then(OsStr::to_str).expect("a case has a name");
    let golden = workspace().join("tests/goldens").join(format!("{name}.md"));
    let got = markdown(case);
    assert_eq!(got, markdown(case), "{name}: the same case gives the same report");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&golden, got).expect("the golden can be written");
        return;
    }
    let expected = std::fs::read_to_string(&golden)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDENS=1 writes it", golden.display()));
    if got != expected {
        let different = expected.lines().zip(got.lines()).enumerate().find(|(_, (old, new))| old != new);
        panic!(
            "{name}: the report is not the one in {}; first different line: {different:#?}; lengths {} and {}",
            golden.display(),
            expected.len(),
            got.len()
        );
    }
}

#[test]
fn every_incident_has_a_case_with_its_script_and_notes() {
    for incident in INCIDENTS {
        let folder = workspace().join("sample-traces").join(incident);
        assert!(folder.join("NOTES.md").is_file(), "{incident} says what is in it");
        for case in cases_of(incident) {
            let output = analyze(&[OsStr::new("verify"), case.as_os_str()]);
            assert!(output.status.success(), "{}: {}", case.display(), shown(&output));
        }
    }
}

#[test]
fn reports_equal_their_goldens() {
    for incident in INCIDENTS {
        // Of an incident with many runs, the last is the one that differs.
        check_golden(cases_of(incident).last().expect("an incident has a case"));
    }
}

/// Asserts that a grave finding of this rule blames a call with this name, tells when, and cites kernel events; and that
/// the same act is undeclared among the call's own effects.
#[track_caller]
fn check_incident(incident: &str, rule: &str, tool: &str, facet: Facet, object: &str) {
    let report = report(cases_of(incident).last().expect("an incident has a case"));
    let grave: Vec<_> = report.findings.iter().filter(|finding| finding.severity >= Severity::High).collect();
    let blamed = |finding: &&&Finding| finding.rule == rule && finding.span_name.as_deref() == Some(tool);
    let finding = grave.iter().find(blamed).unwrap_or_else(|| panic!("{rule} by {tool} is not among {grave:#?}"));
    assert!(finding.title.contains(tool), "{finding:#?}");
    assert!(finding.at_ns.is_some(), "{finding:#?}");
    let call = report.calls.iter().find(|call| Some(&call.span_id) == finding.span_id.as_ref());
    let call = call.unwrap_or_else(|| panic!("the blamed call is in the report: {finding:#?}"));
    let undeclared = |effect: &&Effect| effect.facet == facet && effect.expectation == Expectation::Undeclared;
    let effect = call.effects.iter().filter(undeclared).find(|effect| effect.object.contains(object));
    let effect = effect.unwrap_or_else(|| panic!("{tool} has {facet:?} {object}: {:#?}", call.effects));
    let cited = finding.event_ids.iter().any(|id| effect.event_ids.contains(id));
    assert!(cited, "the finding cites the effect's events: {finding:#?} {effect:#?}");
    let entry = report.timeline.iter().find(|entry| entry.undeclared && entry.text.contains(object));
    assert!(entry.is_some(), "the timeline shows {object}: {:#?}", report.timeline);
}

#[test]
fn the_same_case_gives_the_same_bytes_on_one_thread_or_many() {
    for case in sample_cases() {
        let arguments = [OsStr::new("report"), case.as_os_str(), "--format".as_ref(), "json".as_ref()];
        let (many, one) = (analyze(&arguments), analyze_on_one_thread(&arguments));
        assert!(many.status.success() && one.status.success(), "{}", shown(&many));
        assert!(!many.stdout.is_empty() && many.stdout == one.stdout, "{} differs", case.display());
    }
}

#[test]
fn poisoned_config_sends_to_an_address_out_of_a_document() {
    check_incident("poisoned-config", "undeclared-connect", "read_config", Facet::Connect, "203.0.113.");
}

#[test]
fn formatter_deletes_what_it_did_not_format() {
    check_incident("formatter-deletes", "undeclared-delete", "format_output", Facet::Delete, "/");
}

#[test]
fn metadata_ssrf_reaches_the_metadata_address() {
    check_incident("metadata-ssrf", "metadata-address", "fetch_url", Facet::Connect, "169.254.169.254");
}

#[test]
fn the_last_of_a_hundred_runs_dials_somewhere_new() {
    check_incident("hundred-runs", "undeclared-connect", "sync_index", Facet::Connect, "203.0.113.");
}
