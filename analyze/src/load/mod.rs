//! Reads a case folder into values. Imperfections become findings; only what cannot be read at all is an error.

pub mod files;
pub mod imports;
pub mod listed;
mod record;
mod senders;
mod settle;
mod tables;

pub use tables::rows_of;

use crate::error::{Error, Result};
use argus_schemas::case::{CaseLayout, FORMAT_VERSION};
use argus_schemas::import;
use argus_schemas::manifest::{FileEntry, Loss, Manifest, SEGMENT_LEFT_OUT, sha256_of};
use argus_schemas::report::{Finding, Severity, Signature};
use argus_schemas::signature::{Signed, signed};
use argus_schemas::span_log::{Assembler, OTLP, Received, Refused};
use argus_schemas::spans::{Mark, Span};
use listed::Fault;
use polars::prelude::LazyFrame;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tables::Segment;

/// What the agent said, all its streams together.
#[derive(Debug, Default)]
pub struct Said {
    /// The calls.
    pub spans: Vec<Span>,
    /// Which of them was current on which thread.
    pub marks: Vec<Mark>,
    /// Ids that other streams gave to a call, with the id that it has here.
    pub aliases: BTreeMap<String, String>,
    /// Spans that tell of the far side of a call, by their ids, with the id of that call ([`import::unite`]).
    pub sides: BTreeMap<String, String>,
    /// When lines were received that could not be read, and from whom, as the kernel says.
    pub unread: Vec<(Option<i32>, u64)>,
}

impl Said {
    /// One span for each call: those that tell of its far side are left out.
    pub fn calls(&self) -> Vec<Span> {
        let call_of = |id: &String| self.sides.get(id).unwrap_or(id).clone();
        let calls = self.spans.iter().filter(|span| !self.sides.contains_key(&span.span_id));
        calls.map(|span| Span { parent_id: span.parent_id.as_ref().map(call_of), ..span.clone() }).collect()
    }
}

/// One case, as the later stages take it.
pub struct Case {
    /// Where it lies.
    pub layout: CaseLayout,
    /// The folder's name.
    pub name: String,
    /// Its manifest. Its losses are joined by those that reading the case brought to light.
    pub manifest: Manifest,
    /// SHA-256 of the manifest file, which chains all others.
    pub manifest_sha256: String,
    /// Whether somebody vouches for the manifest.
    pub signature: Signature,
    /// Every column of the events table, over all segments.
    pub events: LazyFrame,
    /// Rows of the events table.
    pub event_count: u64,
    /// The last instant in it, CLOCK_BOOTTIME nanoseconds.
    pub last_event_ns: Option<u64>,
    /// What the agent says that it did.
    pub said: Said,
    /// Understood span-log lines that contradict what is known.
    pub refused: Vec<Refused>,
    /// Span-log lines that could not be read.
    pub unreadable: Vec<Refused>,
    /// What is wrong with the case as such.
    pub findings: Vec<Finding>,
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

/// The events of a case, and what of them cannot be had.
struct Events {
    frame: LazyFrame,
    rows: u64,
    last_ns: Option<u64>,
    losses: Vec<Loss>,
}

/// How long the kernel half folds repeats of one act into one event, whose instant is the first's.
const FOLDED_NS: u64 = 1_000_000_000;

/// Reads the segments of events that are what the manifest names. Of the others, the neighbours bound what is unknown.
fn events(layout: &CaseLayout, manifest: &Manifest, faults: &mut BTreeMap<String, Fault>) -> Result<Events> {
    let began = manifest.clock_pairs.first().map_or(0, |pair| pair.boot_ns);
    // After the last one that was written, a capture that was killed knows of nothing.
    let ended = manifest.end.as_ref().map_or(u64::MAX, |end| end.boot_ns);
    let mut segments: Vec<(&FileEntry, Option<Segment>)> = Vec::new();
    let listed = manifest.files.iter().filter(|entry| entry.path.starts_with("events/"));
    for entry in listed {
        let mut segment = None;
        if !faults.contains_key(&entry.path) {
            match tables::segment(&layout.root().join(&entry.path)) {
                Ok(read) => segment = Some(read),
                Err(Error::Table { reason, .. }) => drop(faults.insert(entry.path.clone(), Fault::Unreadable(reason))),
                Err(error) => return Err(error),
            }
        }
        segments.push((entry, segment));
    }
    let mut losses = Vec::new();
    for (index, (entry, _)) in segments.iter().enumerate().filter(|(_, (_, segment))| segment.is_none()) {
        let before = segments[..index].iter().filter_map(|(_, segment)| segment.as_ref()?.last_ns).max();
        let after = segments[index..].iter().filter_map(|(_, segment)| segment.as_ref()?.first_ns).min();
        losses.push(Loss {
            cause: SEGMENT_LEFT_OUT.to_owned(),
            count: entry.rows.unwrap_or(0),
            cpu: None,
            kinds: Vec::new(),
            from_boot_ns: before.map_or(began, |before| before.saturating_sub(FOLDED_NS).max(began)),
            to_boot_ns: after.map_or(ended, |after| after.saturating_add(FOLDED_NS).min(ended)),
        });
    }
    let read: Vec<Segment> = segments.into_iter().filter_map(|(_, segment)| segment).collect();
    let rows = read.iter().map(|segment| segment.rows).sum();
    let last_ns = read.iter().filter_map(|segment| segment.last_ns).max();
    let frame = tables::events(read.into_iter().map(|segment| segment.frame).collect())?;
    Ok(Events { frame, rows, last_ns, losses })
}

/// The tables of one kind that are what the manifest names. A table that was added is nobody's word.
fn tables_of(layout: &CaseLayout, manifest: &Manifest, faults: &BTreeMap<String, Fault>, table: &str) -> Vec<PathBuf> {
    let of = |path: &str| path.strip_prefix(table).is_some_and(|rest| rest.starts_with('/'));
    let sound = |entry: &&FileEntry| of(&entry.path) && entry.rows.is_some() && !faults.contains_key(&entry.path);
    manifest.files.iter().filter(sound).map(|entry| layout.root().join(&entry.path)).collect()
}

/// Whether somebody vouches for the manifest.
///
/// # Errors
/// When the signature is there and cannot be read.
pub fn signature(layout: &CaseLayout, manifest: &Manifest) -> Result<Signature> {
    let (Some(bytes), Some(text)) = (files::read(layout, "manifest.json")?, files::read(layout, "manifest.json.sig")?)
    else {
        return Ok(manifest.signed_by.as_ref().map_or(Signature::None, |key| {
            Signature::Broken(format!("manifest.json.sig is missing; the case was signed by {key}"))
        }));
    };
    Ok(match signed(&bytes, &String::from_utf8_lossy(&text)) {
        Signed::By(key) => match &manifest.signed_by {
            Some(named) if *named != key => {
                Signature::Broken(format!("the capture signed with {named}, and the signature is by {key}"))
            }
            _ => Signature::By(key),
        },
        Signed::Not => Signature::Broken("manifest.json.sig is no signature of this manifest".to_owned()),
    })
}

/// How often a case that still grows is read anew.
const TRIES: usize = 10;

/// Reads one case.
///
/// # Errors
/// When the manifest or a table cannot be read; everything milder is in [`Case::findings`].
pub fn load(path: &Path) -> Result<Case> {
    let layout = CaseLayout::new(path);
    let (mut manifest, mut manifest_sha256) = manifest(&layout)?;
    let mut faults = listed::faults(&layout, &manifest)?;
    // A capture that still runs removes files after the manifest that no longer names them: then the next one is read.
    for _ in 0..TRIES {
        if faults.is_empty() {
            break;
        }
        let (now, sha256) = self::manifest(&layout)?;
        if sha256 == manifest_sha256 {
            break;
        }
        (manifest, manifest_sha256) = (now, sha256);
        faults = listed::faults(&layout, &manifest)?;
    }
    let mut findings = Vec::new();
    let name = fs::canonicalize(path)
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "case".to_owned());
    findings.extend(files::strange(&layout)?);
    let signature = signature(&layout, &manifest)?;
    let clean = manifest.end.as_ref().is_some_and(|end| end.clean);

    let events = events(&layout, &manifest, &mut faults)?;
    if events.rows == 0 {
        findings.push(Finding::new(
            "no-events",
            Severity::Medium,
            "The case holds no kernel events, so it can show nothing that happened.".to_owned(),
        ));
    }
    let (span_tables, mark_tables) =
        (tables_of(&layout, &manifest, &faults, "spans"), tables_of(&layout, &manifest, &faults, "marks"));
    let is_sound = |table: &str| {
        !faults.keys().any(|path| path.starts_with(&format!("{table}/")) && *path != CaseLayout::SPAN_JOURNAL)
    };
    // Of a capture that was killed there is nothing but the journal, and of tables that were changed, nothing better.
    let from_journal = !(is_sound("spans") && is_sound("marks")) || (!clean && span_tables.is_empty());
    let ledger = imports::ledger(&layout)?;
    let unlisted = listed::unlisted(&layout, &manifest, ledger.as_ref())?;
    let journal_is_sound = !faults.contains_key(CaseLayout::SPAN_JOURNAL)
        && !unlisted.strangers.iter().any(|path| path == CaseLayout::SPAN_JOURNAL);
    let journal = if journal_is_sound { journal(&layout, &mut findings)? } else { Vec::new() };
    let mut journalled = {
        let mut assembler = Assembler::new();
        journal.iter().for_each(|received| drop(assembler.take(received)));
        let mut said = assembler.finish();
        said.place(&manifest.clock_pairs);
        said
    };
    let (mut spans, mut marks) = (tables::spans(&span_tables)?, tables::marks(&mark_tables)?);
    if from_journal {
        (spans, marks) = (std::mem::take(&mut journalled.spans), std::mem::take(&mut journalled.marks));
        // What the receiver said that it lost is told nowhere else then.
        let told = manifest.losses.iter().any(|loss| loss.cause == "span_socket");
        manifest.losses.extend(std::mem::take(&mut journalled.lost).into_iter().filter(|_| !told));
    }
    senders::name(&mut spans, &events.frame, &manifest)?;
    let mut said = imports::join(&layout, &manifest, ledger.as_ref(), spans, marks, &mut findings)?;
    let lines = journalled.unreadable.iter().map(|refused| &refused.received).filter(|line| line.source != OTLP);
    said.unread = lines.map(|line| (line.author_pid, line.boot_ns)).collect();
    if said.spans.is_empty() {
        findings.push(Finding::new(
            "no-spans",
            Severity::Medium,
            "The case holds no spans: no agent reported a call, so no event can be given to one.".to_owned(),
        ));
    }
    findings.extend(record::faults(&manifest, &faults, &events.losses, from_journal));
    findings.extend(record::signature(&signature));
    findings.extend(record::unlisted(&unlisted));
    if !clean {
        findings.push(record::unclean(&manifest, events.last_ns, &unlisted, from_journal && !journal.is_empty()));
    }
    manifest.losses.extend(events.losses);
    let known_ns = manifest.known_until(events.last_ns);
    findings.extend(settle::settle(
        &mut said.spans,
        manifest.clock_pairs.first().map_or(0, |pair| pair.boot_ns),
        known_ns,
    ));
    let (sides, differences) = import::unite(&mut said.spans);
    findings.extend(imports::differing(&differences, &said.spans));
    said.sides = sides;
    said.spans.sort_by(|a, b| (a.start_boot_ns, &a.span_id).cmp(&(b.start_boot_ns, &b.span_id)));
    Ok(Case {
        layout,
        name,
        manifest,
        manifest_sha256,
        signature,
        events: events.frame,
        event_count: events.rows,
        last_event_ns: events.last_ns,
        said,
        refused: journalled.refused,
        unreadable: journalled.unreadable,
        findings,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::manifest;
    use argus_schemas::events::{COLUMNS, ColumnType};
    use polars::prelude::*;
    use std::fs::File;

    /// A segment with one event at each of these instants.
    fn write(path: &Path, instants: &[u64]) {
        let height = instants.len();
        let column = |column: &argus_schemas::events::Column| {
            let name = PlSmallStr::from_static(column.name);
            match (column.name, column.kind) {
                ("boot_ns" | "event_id" | "cpu_seq", _) => Column::new(name, instants),
                (_, ColumnType::Text) => Column::new(name, vec!["open"; height]),
                (_, ColumnType::TextList) => {
                    Column::new(name, vec![Series::new_empty("".into(), &DataType::String); height])
                }
                (_, ColumnType::Bool) => Column::new(name, vec![false; height]),
                (_, ColumnType::U16) => Column::new(name, vec![0u16; height]),
                (_, ColumnType::U32) => Column::new(name, vec![1u32; height]),
                ("last_ns", _) => Column::full_null(name, height, &DataType::UInt64),
                (_, ColumnType::U64) => Column::new(name, vec![0u64; height]),
                (_, ColumnType::I32) => Column::new(name, vec![0i32; height]),
                (_, ColumnType::I64) => Column::new(name, vec![0i64; height]),
            }
        };
        let mut frame = DataFrame::new(height, COLUMNS.iter().map(column).collect()).unwrap();
        ParquetWriter::new(File::create(path).unwrap()).finish(&mut frame).unwrap();
    }

    const SECOND: u64 = 1_000_000_000;

    /// Three segments, of which these are damaged, and the losses that are found, as `(events, from, to)` in seconds.
    #[track_caller]
    fn check(name: &str, damaged: &[usize], killed: bool, expected: &[(u64, u64, Option<u64>)]) {
        let folder = std::env::temp_dir().join(format!("argus-load-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("events")).unwrap();
        let mut manifest = manifest();
        manifest.clock_pairs[0].boot_ns = SECOND;
        manifest.end =
            manifest.end.filter(|_| !killed).map(|end| argus_schemas::manifest::End { boot_ns: 90 * SECOND, ..end });
        for number in 0..3u64 {
            let path = CaseLayout::segment("events", number as u32 + 1);
            let place = folder.join(&path);
            write(&place, &[(10 + 20 * number) * SECOND, (20 + 20 * number) * SECOND]);
            let (sha256, bytes) = sha256_of(File::open(&place).unwrap()).unwrap();
            manifest.files.push(FileEntry { path, bytes, rows: Some(2), sha256, chain: String::new() });
            if damaged.contains(&(number as usize)) {
                fs::write(&place, vec![0; bytes as usize]).unwrap();
            }
        }
        fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        let case = load(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let seconds = |ns: u64| (ns != u64::MAX).then_some(ns / SECOND);
        let losses: Vec<_> = case
            .manifest
            .losses
            .iter()
            .map(|loss| (loss.count, loss.from_boot_ns / SECOND, seconds(loss.to_boot_ns)))
            .collect();
        assert_eq!(losses, expected, "{name}");
        assert_eq!(case.event_count, 6 - 2 * damaged.len() as u64, "{name}");
        let found: Vec<&Finding> = case.findings.iter().filter(|one| one.rule == "damaged-segment").collect();
        assert_eq!(found.len(), damaged.len(), "{name}");
        assert!(
            found.iter().all(|one| one.severity == Severity::High && one.title.contains("events/00000")),
            "{found:?}"
        );
    }

    #[test]
    fn the_neighbours_of_a_damaged_segment_bound_what_is_unknown() {
        // What was folded began up to a second before it was recorded, so the bounds are a second wider.
        check("none", &[], false, &[]);
        check("middle", &[1], false, &[(2, 19, Some(51))]);
        check("first", &[0], false, &[(2, 1, Some(31))]);
        check("last", &[2], false, &[(2, 39, Some(90))]);
        check("last-of-killed", &[2], true, &[(2, 39, None)]);
        check("neighbours", &[0, 1], false, &[(2, 1, Some(51)), (2, 1, Some(51))]);
        check("all", &[0, 1, 2], true, &[(2, 1, None), (2, 1, None), (2, 1, None)]);
    }
}
