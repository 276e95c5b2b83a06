//! Puts back what was taken away from a case while it is written: a file, a folder, or the whole of it, be it deleted,
//! moved, unmounted or mounted over. What was written is still held by its descriptors.

use crate::case::{CaseFolder, claim};
use crate::error::Result;
use argus_schemas::CaseLayout;
use argus_schemas::manifest::Disturbance;
use nix::unistd::geteuid;
use std::fs::{self, File, Metadata};
use std::io::Seek;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How often a case is put back. Whoever goes on after that is stopped by nothing that a recorder can do.
const MOST: usize = 16;

/// What [`CaseFolder::restore`] did.
pub struct Restored {
    /// What was found, and where the case goes on, for people.
    pub message: String,
    /// A new, empty journal, where the old one was taken away; it is to begin with what the old one holds.
    pub journal: Option<File>,
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether the path leads to this file. Where that cannot be seen, nothing is concluded.
fn leads_to(path: &Path, file: &File) -> bool {
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(there), Ok(held)) => same(&there, &held),
        (Err(error), _) => error.kind() != std::io::ErrorKind::NotFound,
        _ => true,
    }
}

impl CaseFolder {
    /// Whether the folder and everything in it still lie where they were put, and the folder is still one's own.
    pub fn is_whole(&self) -> bool {
        leads_to(&self.path, &self.folder)
            && self.is_own()
            && self.taken().is_empty()
            && self.layout.manifest().exists()
    }

    /// Whether the folder was not given to another user, nor made unusable by its permissions.
    fn is_own(&self) -> bool {
        self.folder.metadata().is_ok_and(|meta| meta.uid() == geteuid().as_raw() && meta.mode() & 0o700 == 0o700)
    }

    /// What the folder no longer holds.
    fn taken(&self) -> Vec<String> {
        let gone = |(name, file): (&String, &File)| !leads_to(&self.layout.root().join(name), file);
        self.kept.iter().filter(|entry| gone(*entry)).map(|(name, _)| name.clone()).collect()
    }

    /// Puts back what is missing, and enters it into the manifest. `None`: it was put back too often already. With
    /// `refused`, the folder does not let itself be written into any more, and the case goes on in another one.
    pub fn restore(&mut self, boot_ns: u64, refused: bool) -> Result<Option<Restored>> {
        if self.manifest.disturbances.len() >= MOST {
            return Ok(None);
        }
        let there = leads_to(&self.path, &self.folder);
        let found = if there && self.is_own() && !refused {
            "files of the case were removed".to_owned()
        } else {
            let what = match (fs::symlink_metadata(&self.path), self.folder.metadata().map(|held| held.nlink())) {
                _ if there && !self.is_own() => "the case was given to another user, or its permissions taken away",
                _ if there => "the case was made unwritable",
                (Ok(_), _) => "something else lies where the case was",
                (Err(_), Ok(0)) => "the case was removed",
                (Err(_), _) => "the case was moved away or unmounted",
            };
            let (path, folder) = self.another_place()?;
            self.move_to(path, folder);
            what.to_owned()
        };
        self.make_folders()?;
        let mut journal = None;
        for name in self.taken() {
            let lost = self.kept.remove(&name);
            // Whatever lies there instead is not the case's.
            let _ = fs::remove_file(self.layout.root().join(&name));
            let mut new = self.create_file(&name)?;
            if name == CaseLayout::SPAN_JOURNAL {
                journal = Some(new);
            } else if let Some(mut old) = lost {
                let copied = old.rewind().and_then(|()| std::io::copy(&mut old, &mut new)).and_then(|_| new.sync_all());
                copied.map_err(|source| crate::error::Error::Write { path: self.path.join(&name), source })?;
            }
        }
        let went_on_at = self.path.to_string_lossy().into_owned();
        let message = format!("{found}; it is put back, and goes on at {went_on_at}");
        self.manifest.disturbances.push(Disturbance { boot_ns, found, went_on_at });
        self.write_manifest()?;
        Ok(Some(Restored { message, journal }))
    }

    /// An empty folder to go on in: the old place if nothing is there, else one beside it, else one for temporary files.
    fn another_place(&self) -> Result<(PathBuf, File)> {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let number = self.manifest.disturbances.len() + 1;
        let rescued = format!("{name}.rescued-{}-{number}.argus", std::process::id());
        let mut places = vec![self.path.with_file_name(&rescued), std::env::temp_dir().join(&rescued)];
        if fs::symlink_metadata(&self.path).is_err() {
            places.insert(0, self.path.clone());
        }
        let mut outcome = Err(crate::error::Error::CaseExists { path: self.path.clone() });
        for place in places {
            outcome = claim(&place).map(|folder| (place, folder));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::tests::manifest;
    use argus_schemas::manifest::sha256_of;
    use std::io::Write;

    const FILE: &str = "events/000001.parquet";

    /// A case with one file in it is disturbed; whether it was noticed, and where the case is whole afterwards.
    #[track_caller]
    fn check(disturb: impl FnOnce(&Path), expected: Option<&str>) {
        let number = expected.map_or(0, str::len);
        let around = std::env::temp_dir().join(format!("argus-rescue-{}-{number}", std::process::id()));
        fs::create_dir_all(&around).unwrap();
        let mut case = CaseFolder::create(&around.join("x.argus"), manifest(), None).unwrap();
        case.create_file(FILE).unwrap().write_all(b"content").unwrap();
        case.close_file(FILE, Some(1)).unwrap();
        case.create_file(CaseLayout::SPAN_JOURNAL).unwrap();
        case.write_manifest().unwrap();
        assert!(case.is_whole());
        disturb(&around);
        assert_eq!(case.is_whole(), expected.is_none());
        if let Some(expected) = expected {
            let restored = case.restore(7, false).unwrap().unwrap();
            assert!(restored.message.starts_with(expected), "{}", restored.message);
            assert!(case.is_whole());
            assert_eq!(case.manifest.disturbances.len(), 1);
        }
        let (hash, _) = sha256_of(File::open(case.path().join(FILE)).unwrap()).unwrap();
        assert_eq!(hash, case.manifest.files[0].sha256);
        let text = fs::read_to_string(case.path().join("manifest.json")).unwrap();
        assert_eq!(text.contains("went_on_at"), expected.is_some());
        fs::remove_dir_all(&around).unwrap();
    }

    #[test]
    fn what_is_taken_away_is_put_back() {
        check(|_| {}, None);
        check(|around| fs::remove_dir_all(around.join("x.argus")).unwrap(), Some("the case was removed"));
        check(|around| fs::remove_file(around.join("x.argus").join(FILE)).unwrap(), Some("files of the case"));
        check(|around| fs::remove_file(around.join("x.argus/manifest.json")).unwrap(), Some("files of the case "));
        check(|around| fs::rename(around.join("x.argus"), around.join("y")).unwrap(), Some("the case was moved away"));
        check(
            |around| {
                fs::rename(around.join("x.argus"), around.join("y")).unwrap();
                fs::create_dir(around.join("x.argus")).unwrap();
                fs::write(around.join("x.argus/other"), "").unwrap();
            },
            Some("something else lies where"),
        );
        check(
            |around| {
                fs::remove_file(around.join("x.argus").join(FILE)).unwrap();
                fs::write(around.join("x.argus").join(FILE), "forged").unwrap();
            },
            Some("files of the case w"),
        );
    }

    #[test]
    fn a_link_in_the_path_is_refused() {
        let around = std::env::temp_dir().join(format!("argus-links-{}", std::process::id()));
        fs::create_dir_all(around.join("real/inner")).unwrap();
        std::os::unix::fs::symlink("real", around.join("link")).unwrap();
        for path in ["link", "link/x.argus", "real/../link/inner/x.argus"] {
            let refused = CaseFolder::create(&around.join(path), manifest(), None).err().unwrap();
            assert!(
                matches!(refused, crate::error::Error::CaseIsLink { ref path } if path.ends_with("link")),
                "{refused}"
            );
        }
        assert!(CaseFolder::create(&around.join("real/./inner/../y/x.argus"), manifest(), None).is_ok());
        fs::remove_dir_all(&around).unwrap();
    }
}
