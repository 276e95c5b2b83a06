//! The files of a case, held against what its manifest names.

use super::{files, tables};
use crate::error::{Error, Result};
use argus_schemas::case::CaseLayout;
use argus_schemas::imports::Ledger;
use argus_schemas::manifest::{FileEntry, Manifest, sha256_of};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};

/// Why a file that the manifest names is no evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is something else than a file, or lies behind a link.
    NoFile,
    /// Its content is not what the manifest names.
    Changed {
        /// How long it is now.
        bytes: u64,
    },
    /// It is what the manifest names, and cannot be read as a table; why.
    Unreadable(String),
}

impl Fault {
    /// The fault in words: `events/000001.parquet ...`.
    pub fn of(&self, entry: &FileEntry) -> String {
        let path = &entry.path;
        match self {
            Fault::Missing => format!("{path} is missing"),
            Fault::NoFile => format!("{path} is a link or a pipe, or lies behind a link: it is no file of this case"),
            Fault::Changed { bytes } => {
                format!("{path} was changed: {bytes} bytes, {} when it was recorded", entry.bytes)
            }
            Fault::Unreadable(why) => format!("{path} cannot be read: {why}"),
        }
    }
}

/// Why a file of this name is not what it was when it had this hash.
///
/// # Errors
/// When it is there and cannot be read.
pub fn fault(layout: &CaseLayout, name: &str, sha256: &str) -> Result<Option<Fault>> {
    let path = layout.root().join(name);
    if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(Some(Fault::Missing));
    }
    if !files::lies_in(layout, name) {
        return Ok(Some(Fault::NoFile));
    }
    let (hash, bytes) = File::open(&path).and_then(sha256_of).map_err(|source| Error::Read { path, source })?;
    Ok((hash != sha256).then_some(Fault::Changed { bytes }))
}

/// The files that the manifest names and that are not what it names, by path. All of them are read.
///
/// # Errors
/// When one that is there cannot be read.
pub fn faults(layout: &CaseLayout, manifest: &Manifest) -> Result<BTreeMap<String, Fault>> {
    let found: Vec<(String, Option<Fault>)> = manifest
        .files
        .par_iter()
        .map(|entry| fault(layout, &entry.path, &entry.sha256).map(|fault| (entry.path.clone(), fault)))
        .collect::<Result<_>>()?;
    Ok(found.into_iter().filter_map(|(path, fault)| Some((path, fault?))).collect())
}

/// What lies in the folder and is in no list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unlisted {
    /// What a capture that was interrupted leaves, each with what it is. Nobody vouches for it.
    pub tail: Vec<(String, &'static str)>,
    /// What no capture leaves.
    pub strangers: Vec<String>,
}

/// What is in the folder beyond what the manifest and the ledger of imports name.
///
/// # Errors
/// When a folder cannot be read.
pub fn unlisted(layout: &CaseLayout, manifest: &Manifest, ledger: Option<&Ledger>) -> Result<Unlisted> {
    let mut known: BTreeSet<&str> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
    known.insert("manifest.json");
    known.insert("manifest.json.sig");
    if let Some(ledger) = ledger {
        known.extend(ledger.logs.iter().map(|log| log.path.as_str()));
        known.insert(CaseLayout::IMPORTS_LEDGER);
    }
    let names = files::beneath(layout.root())?
        .iter()
        .filter_map(|path| path.strip_prefix(layout.root()).ok())
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|name| !known.contains(name.as_str()))
        .collect::<Vec<String>>();
    let clean = manifest.end.as_ref().is_some_and(|end| end.clean);
    let tail = Tail::of(layout, manifest);
    let mut unlisted = Unlisted::default();
    for name in names {
        match tail.what(&name).filter(|_| !clean) {
            // The room that is kept for the last manifest is not worth a word.
            Some("") => {}
            Some(what) => unlisted.tail.push((name, what)),
            None => unlisted.strangers.push(name),
        }
    }
    Ok(unlisted)
}

/// The number of a segment of events.
fn number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("events/")?.strip_suffix(".parquet")?.parse().ok()?;
    (CaseLayout::segment("events", number) == name).then_some(number)
}

/// The first and the last id of the events in a file of the case.
fn ids_in(layout: &CaseLayout, name: &str) -> Option<(u64, u64)> {
    files::lies_in(layout, name).then(|| tables::ids_in(&layout.root().join(name))).flatten()
}

/// The shape of what a capture leaves that is killed: files are written before the manifest names them, and those that
/// another one replaced are removed after it no longer does.
struct Tail<'a> {
    layout: &'a CaseLayout,
    manifest: &'a Manifest,
    /// The last segment that the manifest names, and the one before.
    last: u32,
    before: u32,
    /// The ids of the events in the last one.
    ids: Option<(u64, u64)>,
}

impl<'a> Tail<'a> {
    fn of(layout: &'a CaseLayout, manifest: &'a Manifest) -> Tail<'a> {
        let mut numbers: Vec<u32> = manifest.files.iter().filter_map(|entry| number(&entry.path)).collect();
        numbers.sort_unstable();
        let last = numbers.pop().unwrap_or(0);
        let before = numbers.pop().unwrap_or(0);
        let ids = ids_in(layout, &CaseLayout::segment("events", last));
        Tail { layout, manifest, last, before, ids }
    }

    /// What a file is of the tail; `None`: it is not of it.
    fn what(&self, name: &str) -> Option<&'static str> {
        let journalled = self.manifest.files.iter().any(|entry| entry.path == CaseLayout::SPAN_JOURNAL);
        match name {
            "manifest.json.reserve" => return Some(""),
            "manifest.json.next" | "manifest.json.sig.next" => return Some("a manifest that was being written"),
            CaseLayout::SPAN_JOURNAL => return Some("the agent's lines, which are entered when a capture ends"),
            "spans/000001.parquet" | "marks/000001.parquet" if !journalled => {
                return Some("what the agent said, which was being written as the capture ended");
            }
            _ => {}
        }
        let number = number(name).filter(|_| files::lies_in(self.layout, name))?;
        let ids = ids_in(self.layout, name);
        if number == self.last.checked_add(1)? {
            // It may have been cut off as it was written. One that can be read goes on where the last one ended.
            let goes_on = match (ids, self.ids) {
                (Some((_, last)), Some((_, before))) => last > before,
                _ => true,
            };
            return goes_on.then_some("the next segment, which was being written");
        }
        let within = ids.zip(self.ids).is_some_and(|(own, of)| own.0 >= of.0 && own.1 <= of.1);
        (number > self.before && number < self.last && within)
            .then_some("a piece that the last segment replaced, and whose events it holds")
    }
}
