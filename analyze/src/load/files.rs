//! Which files of a case folder are read: those that lie in it. Whoever hands over a case may have put a link there, which
//! would lead the reader to files of its own machine and into the report, or a pipe, which would hold the reader up.

use crate::error::{Error, Result};
use argus_schemas::case::CaseLayout;
use argus_schemas::report::{Finding, Severity};
use std::fs;
use std::path::{Path, PathBuf};

/// Whether a file lies at `path` itself.
pub fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether a name that [`CaseLayout::names_a_file`] stands for a file of the case, with no link on the way to it.
pub fn lies_in(layout: &CaseLayout, name: &str) -> bool {
    let mut folder = layout.root().to_owned();
    let (folders, file) = name.rsplit_once('/').map_or((None, name), |(folders, file)| (Some(folders), file));
    folders.into_iter().flat_map(|folders| folders.split('/')).all(|part| {
        folder.push(part);
        fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir())
    }) && is_file(&folder.join(file))
}

/// The bytes of a file of a case; `None`: it is not there, or it does not lie in the case, of which [`strange`] tells.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read(layout: &CaseLayout, name: &str) -> Result<Option<Vec<u8>>> {
    if !lies_in(layout, name) {
        return Ok(None);
    }
    let path = layout.root().join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// Every file beneath a folder, in the order of their names; neither links nor pipes are opened.
///
/// # Errors
/// When a folder cannot be read.
pub fn beneath(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| Error::Read { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    Ok(found)
}

/// What lies in a case and is no file.
///
/// # Errors
/// When a folder cannot be read.
pub fn strange(layout: &CaseLayout) -> Result<Option<Finding>> {
    let strange: Vec<String> = beneath(layout.root())?
        .iter()
        .filter(|path| !is_file(path))
        .filter_map(|path| path.strip_prefix(layout.root()).ok())
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    if strange.is_empty() {
        return Ok(None);
    }
    let mut finding = Finding::new(
        "no-plain-file",
        Severity::High,
        "Links or pipes lie in the case: they were not followed, and what they stand for is not in this report"
            .to_owned(),
    );
    finding.details = strange;
    finding.details.push("A capture writes neither: somebody put them there.".to_owned());
    Ok(Some(finding))
}
