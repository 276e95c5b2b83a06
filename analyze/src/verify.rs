//! Whether a case is still what the capture wrote: hashes, chain, signature, files, sequence gaps, schema.

use crate::error::{Error, Result};
use crate::load;
use crate::load::listed::{self, Fault, Unlisted};
use argus_schemas::case::CaseLayout;
use argus_schemas::events::Kind;
use argus_schemas::imports::Ledger;
use argus_schemas::manifest::{Manifest, chain};
use argus_schemas::report::Signature;
use argus_schemas::signature::{fingerprint, public_keys};
use polars::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

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

/// The check of how the capture ended.
const ENDED: &str = "clean end";

impl Verification {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    /// Whether all that is wrong is that the capture was interrupted.
    pub fn was_interrupted(&self) -> bool {
        !self.holds() && self.checks.iter().all(|check| check.holds || check.what == ENDED)
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
    let ledger = load::imports::ledger(&layout)?;
    let unlisted = listed::unlisted(&layout, &manifest, ledger.as_ref())?;
    let faults = listed::faults(&layout, &manifest)?;
    let mut checks =
        vec![intact(&manifest, &faults), chained(&manifest), strangers(&unlisted), ended(&manifest, &unlisted)];
    checks.extend([signature(&layout, &manifest, signers)?, undisturbed(&manifest)]);
    checks.extend(ledger.map(|ledger| imported(&layout, &ledger, &manifest_sha256)).transpose()?);
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
            checks.push(rows(&layout, &manifest, &faults));
            checks.push(unique(&case.events)?);
            checks.push(sequence(&case.events, &manifest)?);
        }
        Err(error) => {
            checks.push(check("schema", vec![error.to_string()], String::new()));
        }
    }
    Ok(Verification { manifest_sha256, checks })
}

fn intact(manifest: &Manifest, faults: &BTreeMap<String, Fault>) -> Check {
    let problems = manifest.files.iter().filter_map(|entry| Some(faults.get(&entry.path)?.of(entry))).collect();
    check("files", problems, format!("{} files have the SHA-256 that the manifest names", manifest.files.len()))
}

/// Whether the manifest, and with it everything, is signed; by whom, is for the reader to know.
fn signature(layout: &CaseLayout, manifest: &Manifest, signers: Option<&Path>) -> Result<Check> {
    let wanted = match signers {
        None => None,
        Some(path) => {
            let read = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
            let text = String::from_utf8_lossy(&read).into_owned();
            let keys = public_keys(&text).map_err(|source| Error::Keys { path: path.to_owned(), source })?;
            Some(keys.iter().map(fingerprint).collect::<BTreeSet<String>>())
        }
    };
    let result = match (load::signature(layout, manifest)?, wanted) {
        (Signature::Broken(why), _) => Err(why),
        (Signature::By(key), Some(wanted)) if wanted.contains(&key) => Ok(format!("signed by {key}, as asked for")),
        (Signature::By(key), Some(_)) => Err(format!("signed by {key}, which is none of the keys asked for")),
        (signature @ Signature::By(_), None) => Ok(format!("{signature} (--signer KEY.pub asks for it)")),
        (signature @ Signature::None, Some(_)) => Err(signature.to_string()),
        (signature @ Signature::None, None) => Ok(format!("{signature} (argus-capture run --sign KEY signs a case)")),
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

fn strangers(unlisted: &Unlisted) -> Check {
    let told = |path: &String| {
        format!(
            "{path} is not in the manifest, and no capture leaves it so: it was put there, or what lists it was changed"
        )
    };
    let otherwise = if unlisted.tail.is_empty() {
        "the folder holds what the manifest names"
    } else {
        "the folder holds what the manifest names, and what an interrupted capture leaves"
    };
    check("no other files", unlisted.strangers.iter().map(told).collect(), otherwise.to_owned())
}

/// Whether the capture ended as it should. Where it did not, the tail belongs to that: it is no sign of a change.
fn ended(manifest: &Manifest, unlisted: &Unlisted) -> Check {
    let mut problems = match &manifest.end {
        Some(end) if end.clean => Vec::new(),
        Some(end) => vec![format!("the capture ended uncleanly: {}", end.reason)],
        None => vec!["the capture never ended: it was killed, or still runs".to_owned()],
    };
    if !problems.is_empty() {
        problems.push("what happened after the last that is recorded is unknown".to_owned());
    }
    let told = |(path, what): &(String, &str)| {
        format!("its tail: {path} ({what}), later than the last manifest, so that nobody vouches for it")
    };
    problems.extend(unlisted.tail.iter().map(told));
    check(ENDED, problems, manifest.end.as_ref().map(|end| end.reason.clone()).unwrap_or_default())
}

/// Logs that were added afterwards: no part of what the capture wrote, and listed by themselves.
fn imported(layout: &CaseLayout, ledger: &Ledger, manifest_sha256: &str) -> Result<Check> {
    let mut problems = Vec::new();
    if ledger.manifest_sha256 != manifest_sha256 {
        problems.push("the logs were added to another manifest than this one".to_owned());
    }
    if let Some(log) = ledger.broken_at() {
        problems.push(format!("the chain breaks at {}: an entry was changed, added, removed or moved", log.path));
    }
    for log in &ledger.logs {
        match listed::fault(layout, &log.path, &log.sha256)? {
            None => {}
            Some(Fault::Missing) => problems.push(format!("{} is missing", log.path)),
            Some(Fault::NoFile) => problems.push(format!("{} is no file of this case", log.path)),
            Some(_) => problems.push(format!("{} was changed since it was added", log.path)),
        }
    }
    let names: Vec<String> = ledger.logs.iter().map(|log| format!("{} ({})", log.name, log.format)).collect();
    let otherwise =
        format!("added after the capture, and as their own ledger says, which nobody signs: {}", names.join(", "));
    Ok(check("imports", problems, otherwise))
}

fn undisturbed(manifest: &Manifest) -> Check {
    let told = |one: &argus_schemas::manifest::Disturbance| format!("{}; it went on at {}", one.found, one.went_on_at);
    check(
        "undisturbed",
        manifest.disturbances.iter().map(told).collect(),
        "nothing was taken away meanwhile".to_owned(),
    )
}

fn rows(layout: &CaseLayout, manifest: &Manifest, faults: &BTreeMap<String, Fault>) -> Check {
    let mut problems = Vec::new();
    for entry in manifest.files.iter().filter(|entry| !faults.contains_key(&entry.path)) {
        let (Some(rows), path) = (entry.rows, layout.root().join(&entry.path)) else { continue };
        if let Ok(found) = load::rows_of(&path)
            && found != rows
        {
            problems.push(format!("{} has {found} rows, not {rows}", entry.path));
        }
    }
    check("rows", problems, "every table has the rows that the manifest names".to_owned())
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
            .fold(0, |sum, loss| sum.saturating_add(loss.count));
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
