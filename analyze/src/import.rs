//! Adds logs that agents wrote elsewhere to a case. What the capture wrote stays as it is.

use crate::error::{Error, Result};
use crate::load;
use crate::load::imports::{ledger, may_run_during};
use argus_schemas::case::CaseLayout;
use argus_schemas::import::{self, ClockMap, Format, Imported};
use argus_schemas::imports::Ledger;
use argus_schemas::manifest::{Manifest, sha256_of};
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// How much of a log is looked at to tell its format.
const HEAD_BYTES: u64 = 64 << 10;

/// What became of one file.
#[derive(Debug, serde::Serialize)]
pub struct Added {
    /// The file, as it was named.
    pub file: String,
    /// Its format.
    pub format: &'static str,
    /// Calls that it tells of.
    pub calls: u64,
    /// Of these, calls that may have run while the case was recorded.
    pub within: u64,
    /// Parts of it that were not understood.
    pub not_understood: u64,
    /// Whether it was added before, and so was left out now.
    pub again: bool,
}

/// Adds logs to a case. Where one of them is in no known format, none is added.
///
/// # Errors
/// When a file cannot be read or written, or its format is not known.
pub fn import(case: &Path, files: &[PathBuf], format: Option<Format>) -> Result<Vec<Added>> {
    let layout = CaseLayout::new(case);
    let (manifest, manifest_sha256) = load::manifest(&layout)?;
    let mut ledger = ledger(&layout)?.unwrap_or_else(|| Ledger::new(manifest_sha256));
    let mut added = Vec::new();
    let mut to_copy = Vec::new();
    for file in files {
        let failed = |source| Error::Read { path: file.clone(), source };
        let head = head(file).map_err(failed)?;
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err(Error::Utf16Log { path: file.clone() });
        }
        let format = match format {
            Some(format) => format,
            None => import::detect(&head).ok_or_else(|| Error::UnknownLog { path: file.clone() })?,
        };
        let (sha256, bytes) = File::open(file).and_then(sha256_of).map_err(failed)?;
        let imported = File::open(file).and_then(|log| import::read(format, BufReader::new(log))).map_err(failed)?;
        let again = ledger.logs.iter().any(|log| log.sha256 == sha256);
        let calls = (imported.spans.len() + imported.boot_spans.len()) as u64;
        added.push(Added {
            file: file.to_string_lossy().into_owned(),
            format: format.as_str(),
            calls,
            within: within(&imported, &manifest),
            not_understood: imported.counts.lost(),
            again,
        });
        if !again {
            let path = CaseLayout::import(ledger.logs.len() + 1);
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            ledger.add(path.clone(), name, format.as_str().to_owned(), bytes, sha256);
            to_copy.push((file, layout.root().join(path)));
        }
    }
    let folder = layout.imports();
    fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder, source })?;
    for (from, to) in to_copy {
        copy(from, &to).map_err(|source| Error::Write { path: to.clone(), source })?;
    }
    let path = layout.imports_ledger();
    write(&path, &ledger).map_err(|source| Error::Write { path, source })?;
    Ok(added)
}

fn head(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(file)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// How many calls may have run while the case was recorded. None means that it is another run's log.
fn within(imported: &Imported, manifest: &Manifest) -> u64 {
    let Some(clock) = ClockMap::new(&manifest.clock_pairs) else { return 0 };
    let foreign = imported.spans.iter().map(|span| clock.span(span));
    let spans = foreign.chain(imported.boot_spans.iter().cloned());
    spans.filter(|span| may_run_during(span, manifest)).count() as u64
}

fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut new = create(to)?;
    std::io::copy(&mut File::open(from)?, &mut new)?;
    new.sync_all()
}

/// In one step: a reader sees the old ledger or the new one.
fn write(path: &Path, ledger: &Ledger) -> std::io::Result<()> {
    let next = path.with_extension("next");
    let mut file = create(&next)?;
    serde_json::to_writer_pretty(&mut file, ledger)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(next, path)
}
