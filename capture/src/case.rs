//! The case folder: private, written once, every closed file hashed and chained into the manifest.

use crate::error::{Error, Result};
use argus_schemas::CaseLayout;
use argus_schemas::manifest::{FileEntry, Manifest, chain, sha256_of};
use nix::unistd::{Gid, Uid};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Room that is kept for the last manifest, for when the disk is full: 200 files are 60 kB of manifest.
const RESERVE_BYTES: i64 = 256 << 10;

/// A case that is being written.
pub struct CaseFolder {
    /// Where things lie.
    pub layout: CaseLayout,
    /// As it will be written next.
    pub manifest: Manifest,
}

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}

/// Creates a file of this case, which must not exist.
pub fn create_file(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(write_error(path))
}

impl CaseFolder {
    /// Makes the folders and writes the first manifest.
    pub fn create(root: &Path, manifest: Manifest) -> Result<Self> {
        if root.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
            return Err(Error::CaseIsLink { path: root.to_owned() });
        }
        if root.exists() && fs::read_dir(root).map_err(write_error(root))?.next().is_some() {
            return Err(Error::CaseExists { path: root.to_owned() });
        }
        let layout = CaseLayout::new(root);
        for folder in [root.to_owned(), layout.events(), layout.spans(), layout.marks()] {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(write_error(&folder))?;
        }
        let case = Self { layout, manifest };
        case.write_manifest()?;
        let reserve = case.layout.reserve();
        let room = create_file(&reserve)?;
        // Where a file system has no way to keep room, a full disk costs the last manifest; the one before stays.
        let _ = nix::fcntl::posix_fallocate(&room, 0, RESERVE_BYTES);
        Ok(case)
    }

    /// Writes the manifest anew, in one step: a reader sees the old one or the new one.
    pub fn write_manifest(&self) -> Result<()> {
        let path = self.layout.manifest();
        let next = self.layout.root().join("manifest.json.next");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            serde_json::to_writer_pretty(&mut file, &self.manifest)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            File::open(self.layout.root())?.sync_all()
        };
        write().map_err(write_error(&path))
    }

    /// Enters a closed file into the manifest, with its hash.
    pub fn close_file(&mut self, path: &Path, rows: Option<u64>) -> Result<()> {
        let file = File::open(path).map_err(write_error(path))?;
        file.sync_all().map_err(write_error(path))?;
        let (sha256, bytes) = sha256_of(file).map_err(write_error(path))?;
        let relative = path.strip_prefix(self.layout.root()).unwrap_or(path).to_string_lossy().into_owned();
        let chain = chain(self.last_chain(), &relative, &sha256);
        self.manifest.files.push(FileEntry { path: relative, bytes, rows, sha256, chain });
        Ok(())
    }

    /// Enters a file that holds what others held; those are no longer part of the case, but still there.
    pub fn replace_files(&mut self, replaced: &[String], path: &Path, rows: u64) -> Result<()> {
        if !replaced.is_empty() {
            let mut kept = std::mem::take(&mut self.manifest.files);
            kept.retain(|entry| !replaced.contains(&entry.path));
            for mut entry in kept {
                entry.chain = chain(self.last_chain(), &entry.path, &entry.sha256);
                self.manifest.files.push(entry);
            }
        }
        self.close_file(path, Some(rows))
    }

    /// Removes files that the manifest no longer names. One that cannot be removed is not read either.
    pub fn remove_files(&self, paths: &[String]) {
        for path in paths {
            let _ = fs::remove_file(self.layout.root().join(path));
        }
    }

    fn last_chain(&self) -> &str {
        self.manifest.files.last().map_or("", |entry| entry.chain.as_str())
    }

    /// Frees the room that was kept for the last manifest.
    pub fn free_reserve(&self) {
        let _ = fs::remove_file(self.layout.reserve());
    }

    /// Removes what [`CaseFolder::create`] made.
    pub fn discard(self) {
        // A leftover folder is harmless, and the error that led here matters more.
        let _ = fs::remove_dir_all(self.layout.root());
    }

    /// Gives the whole case to a user, who will analyse it without root.
    pub fn give_to(&self, uid: Uid, gid: Gid) -> Result<()> {
        let mut paths: Vec<PathBuf> = vec![self.layout.root().to_owned()];
        while let Some(path) = paths.pop() {
            std::os::unix::fs::lchown(&path, Some(uid.as_raw()), Some(gid.as_raw())).map_err(write_error(&path))?;
            if path.is_dir() && !path.is_symlink() {
                for entry in fs::read_dir(&path).map_err(write_error(&path))? {
                    paths.push(entry.map_err(write_error(&path))?.path());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use argus_schemas::case::FORMAT_VERSION;
    use argus_schemas::manifest::{Coverage, Host, SpanLineCounts};

    /// A manifest of nothing.
    pub(crate) fn manifest() -> Manifest {
        Manifest {
            format_version: FORMAT_VERSION,
            writer: String::new(),
            host: Host::default(),
            command: Vec::new(),
            uid: 0,
            mode: "run".to_owned(),
            span_socket: None,
            recorder_pid: None,
            case_path: None,
            root: None,
            clock_pairs: Vec::new(),
            probes: Vec::new(),
            coverage: Coverage::default(),
            losses: Vec::new(),
            span_lines: SpanLineCounts::default(),
            files: Vec::new(),
            end: None,
        }
    }
}
