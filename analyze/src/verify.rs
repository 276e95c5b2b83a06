//! Whether a case is still what the capture wrote: hashes, chain, signature, files, sequence gaps, schema.

use crate::error::{Error, Result};
use crate::load::{self, files};
use argus_schemas::case::CaseLayout;
use argus_schemas::events::Kind;
use argus_schemas::manifest::{Manifest, chain, sha256_of};
use argus_schemas::signature::{Signed, fingerprint, public_keys, signed};
use polars::prelude::*;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub what: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was found; every problem, if it does not hold.
    pub details: Vec<String>,
}

/// What `verify` finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// SHA-256 of the manifest: whoever keeps it elsewhere can tell any later change.
    pub manifest_sha256: String,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

impl Verification {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

fn check(what: &str, problems: Vec<String>, otherwise: String) -> Check {
    let holds = problems.is_empty();
    Check { what: what.to_owned(), holds, details: if holds { vec![otherwise] } else { problems } }
}

/// Verifies a case. `signers`: the keys of which one must have signed it, as text of one or more `.pub` files.
///
/// # Errors
/// Only when there is no manifest to verify against, or the folder or the keys cannot be read.
pub fn verify(path: &Path, signers: Option<&Path>) -> Result<Verification> {
    let layout = CaseLayout::new(path);
    let (manifest, manifest_sha256) = load::manifest(&layout)?;
    let mut checks =
        vec![unchanged(&layout, &manifest)?, chained(&manifest), strangers(&layout, &manifest)?, ended(&manifest)];
    checks.extend([signature(&layout, &manifest, signers)?, undisturbed(&manifest)]);
    checks.extend(imported(&layout, &manifest_sha256)?);
    match load::load(path) {
        Ok(case) => {
            checks.push(check(
                "schema",
                Vec::new(),
                format!(
                    "{} events, {} spans, {} marks",
                    case.event_count,
                    case.said.spans.len(),
                    case.said.marks.len()
                ),
            ));
            checks.push(rows(&layout, &manifest)?);
            checks.push(unique(&case.events)?);
            checks.push(sequence(&case.events, &manifest)?);
        }
        Err(error) => {
            checks.push(check("schema", vec![error.to_string()], String::new()));
        }
    }
    Ok(Verification { manifest_sha256, checks })
}

/// What is wrong with a file that must be there unchanged.
fn problem(layout: &CaseLayout, name: &str, sha256: &str, bytes: Option<u64>) -> Result<Option<String>> {
    let path = layout.root().join(name);
    if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(Some(format!("{name} is missing")));
    }
    if !files::lies_in(layout, name) {
        return Ok(Some(format!("{name} is a link or a pipe, or lies behind a link: it is no file of this case")));
    }
    let (hash, found) = File::open(&path).and_then(sha256_of).map_err(|source| Error::Read { path, source })?;
    let size = bytes.map(|bytes| format!(": {found} bytes, {bytes} when it was recorded")).unwrap_or_default();
    Ok((hash != sha256).then(|| format!("{name} was changed{size}")))
}

fn unchanged(layout: &CaseLayout, manifest: &Manifest) -> Result<Check> {
    let mut problems = Vec::new();
    for entry in &manifest.files {
        problems.extend(problem(layout, &entry.path, &entry.sha256, Some(entry.bytes))?);
    }
    Ok(check("files", problems, format!("{} files have the SHA-256 that the manifest names", manifest.files.len())))
}

/// Whether the manifest, and with it everything, is signed; by whom, is for the reader to know.
fn signature(layout: &CaseLayout, manifest: &Manifest, signers: Option<&Path>) -> Result<Check> {
    let read = |path: PathBuf| fs::read(&path).map_err(|source| Error::Read { path, source });
    let wanted = match signers {
        None => None,
        Some(path) => {
            let text = String::from_utf8_lossy(&read(path.to_owned())?).into_owned();
            let keys = public_keys(&text).map_err(|source| Error::Keys { path: path.to_owned(), source })?;
            Some(keys.iter().map(fingerprint).collect::<BTreeSet<String>>())
        }
    };
    let result = if layout.signature().exists() {
        let (bytes, text) = (read(layout.manifest())?, read(layout.signature())?);
        match (signed(&bytes, &String::from_utf8_lossy(&text)), wanted) {
            (Signed::Not, _) => Err("manifest.json.sig is no signature of this manifest".to_owned()),
            (Signed::By(key), Some(wanted)) if wanted.contains(&key) => Ok(format!("signed by {key}, as asked for")),
            (Signed::By(key), Some(_)) => Err(format!("signed by {key}, which is none of the keys asked for")),
            (Signed::By(key), None) => {
                Ok(format!("signed by {key}; --signer KEY.pub tells whether that is the right key"))
            }
        }
    } else {
        match (&manifest.signed_by, wanted) {
            (Some(key), _) => Err(format!("manifest.json.sig is missing; the case was signed by {key}")),
            (None, Some(_)) => Err("the case is not signed".to_owned()),
            (None, None) => Ok("the case is not signed (argus-capture run --sign KEY signs one)".to_owned()),
        }
    };
    let (problems, otherwise) = match result {
        Ok(said) => (Vec::new(), said),
        Err(problem) => (vec![problem], String::new()),
    };
    Ok(check("signature", problems, otherwise))
}

fn chained(manifest: &Manifest) -> Check {
    let mut problems = Vec::new();
    let mut before = "";
    for entry in &manifest.files {
        if chain(before, &entry.path, &entry.sha256) != entry.chain {
            problems.push(format!("the chain breaks at {}: an entry was changed, added, removed or moved", entry.path));
            break;
        }
        before = &entry.chain;
    }
    check("chain", problems, "every entry is chained to the one before".to_owned())
}

fn strangers(layout: &CaseLayout, manifest: &Manifest) -> Result<Check> {
    // The room kept for the last manifest goes with a clean end; after that it is a stranger too.
    let clean = manifest.end.as_ref().is_some_and(|end| end.clean);
    let mut known: BTreeSet<&str> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
    let ledger = load::imports::ledger(layout)?;
    if let Some(ledger) = &ledger {
        known.extend(ledger.logs.iter().map(|log| log.path.as_str()));
        known.insert(CaseLayout::IMPORTS_LEDGER);
    }
    let problems = files::beneath(layout.root())?
        .iter()
        .filter_map(|path| path.strip_prefix(layout.root()).ok())
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| {
            path != "manifest.json"
                && layout.root().join(path) != layout.signature()
                && (clean || layout.root().join(path) != layout.reserve())
                && !known.contains(path.as_str())
        })
        .map(|path| format!("{path} is not in the manifest"))
        .collect();
    Ok(check("no other files", problems, "the folder holds what the manifest names".to_owned()))
}

fn ended(manifest: &Manifest) -> Check {
    let problem = match &manifest.end {
        Some(end) if end.clean => Vec::new(),
        Some(end) => vec![format!("the capture ended uncleanly: {}", end.reason)],
        None => vec!["the capture never ended: it was killed, or still runs".to_owned()],
    };
    check("clean end", problem, manifest.end.as_ref().map(|end| end.reason.clone()).unwrap_or_default())
}

/// Logs that were added afterwards: no part of what the capture wrote, and listed by themselves.
fn imported(layout: &CaseLayout, manifest_sha256: &str) -> Result<Option<Check>> {
    let Some(ledger) = load::imports::ledger(layout)? else { return Ok(None) };
    let mut problems = Vec::new();
    if ledger.manifest_sha256 != manifest_sha256 {
        problems.push("the logs were added to another manifest than this one".to_owned());
    }
    if let Some(log) = ledger.broken_at() {
        problems.push(format!("the chain breaks at {}: an entry was changed, added, removed or moved", log.path));
    }
    for log in &ledger.logs {
        problems.extend(problem(layout, &log.path, &log.sha256, None)?);
    }
    let names: Vec<String> = ledger.logs.iter().map(|log| format!("{} ({})", log.name, log.format)).collect();
    let otherwise = format!("added after the capture, and unchanged since: {}", names.join(", "));
    Ok(Some(check("imports", problems, otherwise)))
}

fn undisturbed(manifest: &Manifest) -> Check {
    let told = |one: &argus_schemas::manifest::Disturbance| format!("{}; it went on at {}", one.found, one.went_on_at);
    check(
        "undisturbed",
        manifest.disturbances.iter().map(told).collect(),
        "nothing was taken away meanwhile".to_owned(),
    )
}

fn rows(layout: &CaseLayout, manifest: &Manifest) -> Result<Check> {
    let mut problems = Vec::new();
    for entry in &manifest.files {
        let Some(rows) = entry.rows.filter(|_| files::lies_in(layout, &entry.path)) else { continue };
        let path = layout.root().join(&entry.path);
        if let Ok(found) = load::rows_of(&path)
            && found != rows
        {
            problems.push(format!("{} has {found} rows, not {rows}", entry.path));
        }
    }
    Ok(check("rows", problems, "every table has the rows that the manifest names".to_owned()))
}

fn unique(events: &LazyFrame) -> Result<Check> {
    let counted = events
        .clone()
        .select([col("event_id").count().alias("all"), col("event_id").n_unique().alias("distinct")])
        .collect()?;
    let of = |name: &str| -> Result<u64> {
        Ok(counted.column(name)?.cast(&DataType::UInt64)?.u64()?.get(0).unwrap_or_default())
    };
    let (all, distinct) = (of("all")?, of("distinct")?);
    let problems =
        if all == distinct { Vec::new() } else { vec![format!("{} event ids are used twice", all - distinct)] };
    Ok(check("event ids", problems, format!("{all} event ids, each used once")))
}

/// Each CPU numbers its events; what is not there was lost, and the manifest must say so. Names are not numbered: they
/// are read from packets, of which several make one row, or none.
fn sequence(events: &LazyFrame, manifest: &Manifest) -> Result<Check> {
    let counted = events
        .clone()
        .filter(col("kind").neq(lit(Kind::Dns.as_str())).and(col("kind").neq(lit(Kind::TlsName.as_str()))))
        .group_by([col("cpu")])
        .agg([
            col("cpu_seq").min().alias("first"),
            col("cpu_seq").max().alias("last"),
            col("cpu_seq").n_unique().cast(DataType::UInt64).alias("distinct"),
        ])
        .sort(["cpu"], SortMultipleOptions::default())
        .collect()?;
    let cpu = counted.column("cpu")?.u16()?;
    let (first, last, distinct) =
        (counted.column("first")?.u64()?, counted.column("last")?.u64()?, counted.column("distinct")?.u64()?);
    let mut problems = Vec::new();
    let mut gaps = 0;
    for row in 0..counted.height() {
        let (Some(cpu), Some(first), Some(last), Some(distinct)) =
            (cpu.get(row), first.get(row), last.get(row), distinct.get(row))
        else {
            continue;
        };
        let absent = (last - first).saturating_add(1).saturating_sub(distinct);
        gaps += absent;
        let told: u64 = manifest
            .losses
            .iter()
            .filter(|loss| loss.cause == "sequence_gap" && loss.cpu == Some(cpu))
            .map(|loss| loss.count)
            .sum();
        if absent > told {
            problems.push(format!("{absent} events of CPU {cpu} are absent, and the manifest tells of {told}"));
        }
    }
    Ok(check(
        "sequence",
        problems,
        if gaps == 0 {
            "no event is absent between each CPU's first and last".to_owned()
        } else {
            format!("{gaps} events are absent, as the manifest says")
        },
    ))
}
