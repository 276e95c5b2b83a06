//! The case folder: private, written once, every closed file hashed and chained into the manifest.
//!
//! It is held by its descriptor, as its files are by theirs: what is done to its path leads nothing astray, and what is
//! taken away can be put back ([`crate::rescue`]).

use crate::error::{Error, Result};
use crate::tables;
use argus_schemas::CaseLayout;
use argus_schemas::manifest::{FileEntry, Manifest, chain, sha256_of};
use argus_schemas::signature::Signer;
use arrow::array::RecordBatch;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, geteuid};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Component, Path, PathBuf};

/// Room that is kept for the last manifest, for when the disk is full: 200 files are 60 kB of manifest.
const RESERVE_BYTES: i64 = 256 << 10;

/// A case that is being written.
pub struct CaseFolder {
    /// As it will be written next.
    pub manifest: Manifest,
    /// Where the folder is, as people name it.
    pub(crate) path: PathBuf,
    /// The folder.
    pub(crate) folder: File,
    /// Where things lie, reached through [`CaseFolder::folder`].
    pub(crate) layout: CaseLayout,
    /// What was written and is still part of the case, by its path in the folder.
    pub(crate) kept: BTreeMap<String, File>,
    signer: Option<Signer>,
    /// The signature of the manifest that is on disk.
    signature: String,
}

/// Opens a folder, made private where it is missing, and refuses every symbolic link in its path: whoever can write
/// into a folder above could otherwise lead a recorder that is root's anywhere.
fn open_folder(path: &Path) -> Result<OwnedFd> {
    let step = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut reached = PathBuf::new();
    let failed = |reached: &Path, errno: Errno| match reached.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => Error::CaseIsLink { path: reached.to_owned() },
        _ => Error::Write { path: reached.to_owned(), source: errno.into() },
    };
    let mut folder = open(".", step, Mode::empty()).map_err(|errno| failed(Path::new("."), errno))?;
    for component in path.components() {
        reached.push(component);
        if component == Component::CurDir {
            continue;
        }
        let name = component.as_os_str();
        let opened = openat(&folder, name, step, Mode::empty()).or_else(|errno| match errno {
            Errno::ENOENT => {
                mkdirat(&folder, name, Mode::S_IRWXU).and_then(|()| openat(&folder, name, step, Mode::empty()))
            }
            other => Err(other),
        });
        folder = opened.map_err(|errno| failed(&reached, errno))?;
    }
    let whole = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(&folder, ".", whole, Mode::empty()).map_err(|errno| failed(path, errno))
}

/// The layout of a folder as its descriptor reaches it.
fn through(folder: &File) -> CaseLayout {
    CaseLayout::new(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// An empty folder of one's own.
pub(crate) fn claim(path: &Path) -> Result<File> {
    let write_error = |source| Error::Write { path: path.to_owned(), source };
    let folder = File::from(open_folder(path)?);
    // One that was there may have been another user's, who could take out of it whatever is put in.
    fchown(&folder, Some(geteuid().as_raw()), None).map_err(write_error)?;
    folder.set_permissions(Permissions::from_mode(0o700)).map_err(write_error)?;
    if fs::read_dir(through(&folder).root()).map_err(write_error)?.next().is_some() {
        return Err(Error::CaseExists { path: path.to_owned() });
    }
    Ok(folder)
}

impl CaseFolder {
    /// Makes the folders and writes the first manifest; with `signer`, every manifest is signed.
    pub fn create(path: &Path, manifest: Manifest, signer: Option<Signer>) -> Result<Self> {
        let folder = claim(path)?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let layout = through(&folder);
        let mut case = Self { manifest, path, folder, layout, kept: BTreeMap::new(), signer, signature: String::new() };
        case.make_folders()?;
        case.write_manifest()?;
        Ok(case)
    }

    /// Goes on in another folder, which is empty.
    pub(crate) fn move_to(&mut self, path: PathBuf, folder: File) {
        (self.layout, self.folder, self.path) = (through(&folder), folder, path);
    }

    /// Makes the folders of the tables, and the room for the last manifest, where they are missing.
    pub(crate) fn make_folders(&self) -> Result<()> {
        for folder in [self.layout.events(), self.layout.spans(), self.layout.marks()] {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(self.write_error(&folder))?;
        }
        if !self.layout.reserve().exists() {
            let room = self.create_at(&self.layout.reserve())?;
            // Where a file system has no way to keep room, a full disk costs the last manifest; the one before stays.
            let _ = nix::fcntl::posix_fallocate(&room, 0, RESERVE_BYTES);
        }
        Ok(())
    }

    /// Where the case lies, as people name it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the folder that the case lies in is this user's own.
    pub fn lies_in_own_folder(&self) -> bool {
        let parent = self.path.parent().and_then(|parent| fs::metadata(parent).ok());
        parent.is_some_and(|meta| meta.uid() == geteuid().as_raw())
    }

    fn write_error(&self, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.strip_prefix(self.layout.root()).map_or_else(|_| path.to_owned(), |rest| self.path.join(rest));
        move |source| Error::Write { path, source }
    }

    fn create_at(&self, path: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600).open(path).map_err(self.write_error(path))
    }

    /// Creates a file of this case, which must not exist, and keeps it.
    pub fn create_file(&mut self, name: &str) -> Result<File> {
        let path = self.layout.root().join(name);
        let file = self.create_at(&path)?;
        let kept = file.try_clone().map_err(self.write_error(&path))?;
        self.kept.insert(name.to_owned(), kept);
        Ok(file)
    }

    /// Writes batches of one table as a new file; returns how many rows that are. Of one that fails nothing is left.
    pub fn write_table(&mut self, batches: &[RecordBatch], name: &str) -> Result<u64> {
        let file = self.create_file(name)?;
        tables::write(batches, file).map_err(|source| {
            self.remove_files(&[name.to_owned()]);
            Error::Encode { path: self.path.join(name), source }
        })
    }

    /// Writes the manifest anew, in one step: a reader sees the old one or the new one.
    pub fn write_manifest(&mut self) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.manifest).unwrap_or_default();
        text.push(b'\n');
        let Some(signer) = &self.signer else { return self.replace(&self.layout.manifest(), &text) };
        let signature = signer.sign(&text)?;
        // Between the two steps, whichever manifest is there finds its signature.
        let both = format!("{signature}\n{}", self.signature);
        self.replace(&self.layout.signature(), both.as_bytes())?;
        self.replace(&self.layout.manifest(), &text)?;
        self.signature = signature;
        Ok(())
    }

    /// Leaves the signature of the last manifest alone in its file.
    pub fn seal(&self) -> Result<()> {
        if self.signer.is_none() {
            return Ok(());
        }
        self.replace(&self.layout.signature(), format!("{}\n", self.signature.trim_end()).as_bytes())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> Result<()> {
        let mut next = path.as_os_str().to_owned();
        next.push(".next");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&next, path)?;
            self.folder.sync_all()
        };
        write().map_err(self.write_error(path))
    }

    /// Enters a closed file into the manifest, with its hash.
    pub fn close_file(&mut self, name: &str, rows: Option<u64>) -> Result<()> {
        let path = self.layout.root().join(name);
        // What was written is hashed, and not what lies at its path by now.
        let hash = || -> std::io::Result<(String, u64)> {
            let mut file = self.kept.get(name).ok_or(std::io::ErrorKind::NotFound)?;
            file.sync_all()?;
            file.rewind()?;
            sha256_of(file)
        };
        let (sha256, bytes) = hash().map_err(self.write_error(&path))?;
        let chain = chain(self.last_chain(), name, &sha256);
        self.manifest.files.push(FileEntry { path: name.to_owned(), bytes, rows, sha256, chain });
        Ok(())
    }

    /// Enters a file that holds what others held; those are no longer part of the case, but still there.
    pub fn replace_files(&mut self, replaced: &[String], name: &str, rows: u64) -> Result<()> {
        if !replaced.is_empty() {
            let mut kept = std::mem::take(&mut self.manifest.files);
            kept.retain(|entry| !replaced.contains(&entry.path));
            for mut entry in kept {
                entry.chain = chain(self.last_chain(), &entry.path, &entry.sha256);
                self.manifest.files.push(entry);
            }
        }
        self.close_file(name, Some(rows))
    }

    /// Removes files that the manifest no longer names. One that cannot be removed is not read either.
    pub fn remove_files(&mut self, names: &[String]) {
        for name in names {
            self.kept.remove(name);
            let _ = fs::remove_file(self.layout.root().join(name));
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
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Gives the whole case to a user, who will analyse it without root.
    pub fn give_to(&self, uid: Uid, gid: Gid) -> Result<()> {
        let (uid, gid) = (Some(uid.as_raw()), Some(gid.as_raw()));
        fchown(&self.folder, uid, gid).map_err(self.write_error(self.layout.root()))?;
        let mut folders = vec![self.layout.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(self.write_error(&folder))? {
                let entry = entry.map_err(self.write_error(&folder))?;
                lchown(entry.path(), uid, gid).map_err(self.write_error(&entry.path()))?;
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
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
            otlp_address: None,
            recorder_pid: None,
            recorder_cgroup: None,
            recorder_program: None,
            case_path: None,
            root: None,
            clock_pairs: Vec::new(),
            probes: Vec::new(),
            coverage: Coverage::default(),
            losses: Vec::new(),
            span_lines: SpanLineCounts::default(),
            incomplete: BTreeMap::new(),
            disturbances: Vec::new(),
            signed_by: None,
            files: Vec::new(),
            end: None,
        }
    }
}
