//! The logs that were added to a case after it was recorded: read anew, put on the case's clock, and joined with what the
//! capture received, so that no call is counted twice.

use super::{Said, files, listed};
use crate::error::{Error, Result};
use argus_schemas::case::CaseLayout;
use argus_schemas::import::{self, ClockMap, Difference, Format, Imported};
use argus_schemas::imports::Ledger;
use argus_schemas::manifest::Manifest;
use argus_schemas::report::{Finding, Severity};
use argus_schemas::span_log::OTLP;
use argus_schemas::spans::{Mark, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader};

/// How many lines of what was not understood, and how many differences, a finding lists.
const LISTED: usize = 10;

/// The ledger of a case, if anything was ever added to it.
///
/// # Errors
/// When it is there and cannot be read.
pub fn ledger(layout: &CaseLayout) -> Result<Option<Ledger>> {
    let path = layout.imports_ledger();
    let Some(bytes) = files::read(layout, CaseLayout::IMPORTS_LEDGER)? else { return Ok(None) };
    let refuse = |reason: String| Error::Ledger { path: path.clone(), reason };
    let ledger: Ledger = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
    match ledger.logs.iter().find(|log| !CaseLayout::names_a_file(&log.path)) {
        Some(log) => Err(refuse(format!("{:?} names no file of a case", log.path))),
        None => Ok(Some(ledger)),
    }
}

/// Adds what the imported logs say to what the capture received.
pub(super) fn join(
    layout: &CaseLayout,
    manifest: &Manifest,
    ledger: Option<&Ledger>,
    mut spans: Vec<Span>,
    mut marks: Vec<Mark>,
    findings: &mut Vec<Finding>,
) -> Result<Said> {
    let clock = ClockMap::new(&manifest.clock_pairs);
    for log in ledger.map(|ledger| ledger.logs.as_slice()).unwrap_or_default() {
        let Some(format) = Format::from_text(&log.format) else {
            findings.push(Finding::new(
                "import-unread",
                Severity::Medium,
                format!("The imported log {} is of the format {}, which is not known here", log.name, log.format),
            ));
            continue;
        };
        if listed::fault(layout, &log.path, &log.sha256)?.is_some() {
            findings.push(Finding::new(
                "import-unread",
                Severity::High,
                format!("The imported log {} is not what was added to the case, and is left out", log.path),
            ));
            continue;
        }
        let path = layout.root().join(&log.path);
        let read = || {
            if !files::lies_in(layout, &log.path) {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no file of that name lies there"));
            }
            import::read(format, BufReader::new(File::open(&path)?))
        };
        let imported = match read() {
            Ok(imported) => imported,
            Err(error) => {
                findings.push(Finding::new(
                    "import-unread",
                    Severity::High,
                    format!("The imported log {} cannot be read: {error}", log.path),
                ));
                continue;
            }
        };
        findings.extend(not_understood(&log.name, &imported));
        let foreign = clock.iter().flat_map(|clock| imported.spans.iter().map(|span| clock.span(span)));
        let (during, outside): (Vec<Span>, Vec<Span>) =
            foreign.chain(imported.boot_spans).partition(|span| may_run_during(span, manifest));
        spans.extend(during);
        if !outside.is_empty() {
            findings.push(Finding::new(
                "import-outside",
                Severity::Info,
                format!(
                    "Of the imported log {}, {} calls ran before or after the capture, and are left out",
                    log.name,
                    outside.len()
                ),
            ));
        }
        marks.extend(imported.marks);
    }
    let sources: BTreeSet<&str> = spans.iter().map(|span| span.source.as_str()).collect();
    // An exporter that is not sure that it was heard says the same again.
    if sources.len() < 2 && !sources.contains(OTLP) {
        return Ok(Said { spans, marks, ..Said::default() });
    }
    let merged = import::merge(spans);
    findings.extend(differing(&merged.differences, &merged.spans));
    let (mut spans, aliases) = (merged.spans, merged.aliases);
    let known = |id: &mut Option<String>| {
        if let Some(known) = id.as_ref().and_then(|id| aliases.get(id)) {
            *id = Some(known.clone());
        }
    };
    spans.iter_mut().for_each(|span| known(&mut span.parent_id));
    marks.iter_mut().for_each(|mark| known(&mut mark.span_id));
    Ok(Said { spans, marks, aliases, ..Said::default() })
}

/// Whether a call may have run, in part at least, while the case was recorded.
pub fn may_run_during(span: &Span, manifest: &Manifest) -> bool {
    let began = manifest.clock_pairs.first().map_or(0, |pair| pair.boot_ns);
    let ended = manifest.end.as_ref().map_or(u64::MAX, |end| end.boot_ns);
    span.start_boot_ns.saturating_sub(span.start_err_ns) <= ended
        && span.end_boot_ns.is_none_or(|end| end.saturating_add(span.end_err_ns) >= began)
}

fn not_understood(name: &str, imported: &Imported) -> Option<Finding> {
    let counts = &imported.counts;
    let strange: Vec<&String> = imported.versions.iter().filter(|(_, known)| !**known).map(|(text, _)| text).collect();
    if counts.lost() == 0 && counts.doubts.is_empty() && strange.is_empty() {
        return None;
    }
    let title = match counts.lost() {
        0 => format!("The imported log {name} was read, and is odd in places"),
        lost => format!("Of the imported log {name}, {lost} of {} parts were not understood", counts.read),
    };
    let mut finding = Finding::new("import-not-understood", Severity::Low, title);
    for (reason, trouble) in counts.not_understood.iter().chain(&counts.doubts).take(LISTED) {
        let example = trouble.examples.first().map(|example| format!("; {example}")).unwrap_or_default();
        finding.details.push(format!("{} times: {reason}{example}.", trouble.count));
    }
    finding.details.extend(strange.iter().map(|version| format!("The version {version} is not known to the reader.")));
    finding
        .details
        .push("They are kept in the case as they were; calls that they tell of may be missing here.".to_owned());
    Some(finding)
}

/// Where two streams contradict each other about one call, with both sides.
pub(super) fn differing<'a>(differences: &'a [Difference], spans: &'a [Span]) -> impl Iterator<Item = Finding> + 'a {
    let mut by_span: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for difference in differences {
        by_span.entry(&difference.span_id).or_default().push(difference);
    }
    by_span.into_iter().map(|(span_id, differences)| {
        let name = spans.iter().find(|span| span.span_id == span_id).map(|span| span.name.clone());
        let shown = name.clone().unwrap_or_else(|| span_id.to_owned());
        let mut finding = Finding::new(
            "streams-differ",
            Severity::Medium,
            format!("Two logs of the agent contradict each other about `{shown}`"),
        );
        finding.details.extend(differences.iter().take(LISTED).map(|one| {
            format!("{}: {} says {}, and {} says {}.", one.field, one.kept.1, one.kept.0, one.other.1, one.other.0)
        }));
        finding.details.push("The first of each is used here: its provenance is the stronger one.".to_owned());
        (finding.span_id, finding.span_name) = (Some(span_id.to_owned()), name);
        finding
    })
}
