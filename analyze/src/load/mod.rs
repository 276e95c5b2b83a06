//! Reads a case folder into values. Imperfections become findings; only what cannot be read at all is an error.

pub mod files;
pub mod imports;
mod senders;
mod tables;

pub use tables::rows_of;

use crate::error::{Error, Result};
use argus_schemas::case::{CaseLayout, FORMAT_VERSION};
use argus_schemas::manifest::{Manifest, sha256_of};
use argus_schemas::report::{Finding, Severity};
use argus_schemas::span_log::{Assembler, Received, Refused};
use argus_schemas::spans::{Mark, Span};
use polars::prelude::LazyFrame;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the agent said, all its streams together.
#[derive(Debug, Default)]
pub struct Said {
    /// The calls.
    pub spans: Vec<Span>,
    /// Which of them was current on which thread.
    pub marks: Vec<Mark>,
    /// Ids that other streams gave to a call, with the id that it has here.
    pub aliases: BTreeMap<String, String>,
}

/// One case, as the later stages take it.
pub struct Case {
    /// Where it lies.
    pub layout: CaseLayout,
    /// The folder's name.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// SHA-256 of the manifest file, which chains all others.
    pub manifest_sha256: String,
    /// Every column of the events table, over all segments.
    pub events: LazyFrame,
    /// Rows of the events table.
    pub event_count: u64,
    /// What the agent says that it did.
    pub said: Said,
    /// Understood span-log lines that contradict what is known.
    pub refused: Vec<Refused>,
    /// Span-log lines that could not be read.
    pub unreadable: Vec<Refused>,
    /// What is wrong with the case as such.
    pub findings: Vec<Finding>,
    /// Whether a segment that the manifest names is absent.
    pub missing_segments: bool,
}

/// Reads a manifest, and the hash of its bytes.
///
/// # Errors
/// No manifest, not a manifest, or one of another format version.
pub fn manifest(layout: &CaseLayout) -> Result<(Manifest, String)> {
    let path = layout.manifest();
    if layout.root().is_dir() && !files::is_file(&path) {
        return Err(Error::NotACase { path: layout.root().to_owned() });
    }
    let bytes = fs::read(&path).map_err(|source| Error::Read { path: layout.root().to_owned(), source })?;
    let refuse = |error: serde_json::Error| Error::Manifest { path: path.clone(), reason: error.to_string() };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(refuse)?;
    let version = value.get("format_version").cloned().unwrap_or_default();
    if version.as_u64() != Some(u64::from(FORMAT_VERSION)) {
        return Err(Error::Version { path, found: version.to_string(), known: FORMAT_VERSION });
    }
    let (hash, _) = sha256_of(bytes.as_slice()).map_err(|source| Error::Read { path: path.clone(), source })?;
    let manifest: Manifest = serde_json::from_value(value).map_err(refuse)?;
    match manifest.files.iter().find(|file| !CaseLayout::names_a_file(&file.path)) {
        Some(file) => Err(Error::Manifest { path, reason: format!("{:?} names no file of a case", file.path) }),
        None => Ok((manifest, hash)),
    }
}

/// The event files that the manifest names and that are there; and those that are there and that it does not name.
fn listed(layout: &CaseLayout, manifest: &Manifest) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let named: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    let mut listed = Vec::new();
    let mut unlisted = Vec::new();
    for path in files::tables(&layout.events())? {
        let name = format!("events/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if named.contains(name.as_str()) { listed.push(path) } else { unlisted.push(name) }
    }
    Ok((listed, unlisted))
}

/// Reads one case.
///
/// # Errors
/// When the manifest or a table cannot be read; everything milder is in [`Case::findings`].
pub fn load(path: &Path) -> Result<Case> {
    let layout = CaseLayout::new(path);
    let (manifest, manifest_sha256) = manifest(&layout)?;
    let mut findings = Vec::new();
    let name = fs::canonicalize(path)
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "case".to_owned());

    findings.extend(files::strange(&layout)?);
    let (segments, unlisted) = listed(&layout, &manifest)?;
    let present: BTreeSet<String> = segments
        .iter()
        .filter_map(|path| path.file_name().map(|name| format!("events/{}", name.to_string_lossy())))
        .collect();
    let mut missing_segments = false;
    for file in &manifest.files {
        if file.path.starts_with("events/") && !present.contains(&file.path) {
            missing_segments = true;
            let mut finding = Finding::new(
                "missing-segment",
                Severity::High,
                format!("The segment {} is missing, with {} events.", file.path, file.rows.unwrap_or(0)),
            );
            finding.details.push(
                "What it held is absent from this report; nothing is said to be absent from the host.".to_owned(),
            );
            findings.push(finding);
        }
    }
    if !unlisted.is_empty() {
        let mut finding = Finding::new(
            "unlisted-file",
            Severity::Low,
            format!("{} files in the case are not in its manifest, and were not read.", unlisted.len()),
        );
        finding.details = unlisted;
        finding
            .details
            .push("A capture that was killed can leave some behind; so can whoever adds to a case.".to_owned());
        findings.push(finding);
    }
    let (events, event_count) = tables::events(&segments)?;
    if event_count == 0 {
        findings.push(Finding::new(
            "no-events",
            Severity::Medium,
            "The case holds no kernel events, so it can show nothing that happened.".to_owned(),
        ));
    }

    let journal = journal(&layout, &mut findings)?;
    let journalled = {
        let mut assembler = Assembler::new();
        journal.iter().for_each(|received| assembler.take(received));
        let mut said = assembler.finish();
        said.place(&manifest.clock_pairs);
        said
    };
    let clean = manifest.end.as_ref().is_some_and(|end| end.clean);
    let (mut spans, mut marks) =
        (tables::spans(&files::tables(&layout.spans())?)?, tables::marks(&files::tables(&layout.marks())?)?);
    if !clean {
        findings.push(Finding::new(
            "unclean-end",
            Severity::High,
            "The capture did not end cleanly: what happened after its last segment is not in the case.".to_owned(),
        ));
        if spans.is_empty() {
            (spans, marks) = (journalled.spans, journalled.marks);
        }
    }
    senders::name(&mut spans, &events, &manifest)?;
    let mut said = imports::join(&layout, &manifest, spans, marks, &mut findings)?;
    if said.spans.is_empty() {
        findings.push(Finding::new(
            "no-spans",
            Severity::Medium,
            "The case holds no spans: no agent reported a call, so no event can be given to one.".to_owned(),
        ));
    }
    for loss in &manifest.losses {
        let mut finding =
            Finding::new("loss", Severity::High, format!("{} events were lost ({}).", loss.count, loss.cause));
        finding.details.push(format!(
            "Between boottime {} ns and {} ns{}.",
            loss.from_boot_ns,
            loss.to_boot_ns,
            loss.cpu.map_or(String::new(), |cpu| format!(" on CPU {cpu}"))
        ));
        findings.push(finding);
    }
    said.spans.sort_by(|a, b| (a.start_boot_ns, &a.span_id).cmp(&(b.start_boot_ns, &b.span_id)));
    Ok(Case {
        layout,
        name,
        manifest,
        manifest_sha256,
        events,
        event_count,
        said,
        refused: journalled.refused,
        unreadable: journalled.unreadable,
        findings,
        missing_segments,
    })
}

fn journal(layout: &CaseLayout, findings: &mut Vec<Finding>) -> Result<Vec<Received>> {
    let Some(bytes) = files::read(layout, CaseLayout::SPAN_JOURNAL)? else { return Ok(Vec::new()) };
    let text = String::from_utf8_lossy(&bytes);
    let mut broken = 0u64;
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).map_err(|_| broken += 1).ok()).collect();
    if broken > 0 {
        findings.push(Finding::new(
            "broken-journal",
            Severity::Medium,
            format!("{broken} lines of spans/received.jsonl are not what the capture writes: the file was cut off or changed."),
        ));
    }
    Ok(lines)
}
