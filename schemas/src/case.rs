//! Where things lie in a case folder, `NAME.argus/`.

use std::path::{Path, PathBuf};

/// The version of the case format that this crate describes. A reader refuses any other.
pub const FORMAT_VERSION: u32 = 1;

/// The paths inside one case folder.
#[derive(Debug, Clone)]
pub struct CaseLayout {
    root: PathBuf,
}

impl CaseLayout {
    /// The path in the case of the journal of span-log lines.
    pub const SPAN_JOURNAL: &str = "spans/received.jsonl";

    /// The path in the case of what lists the logs that were added to it.
    pub const IMPORTS_LEDGER: &str = "imports/ledger.json";

    /// The layout beneath `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether a path that a manifest or a ledger gives names something inside the case folder: parts with `/` between
    /// them, none of which leads up or elsewhere.
    pub fn names_a_file(path: &str) -> bool {
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':', '\0']);
        path.split('/').all(plain)
    }

    /// The case folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `manifest.json`: see [`crate::manifest::Manifest`].
    pub fn manifest(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    /// The signature of `manifest.json`, where the capture was given a key: see [`crate::signature`].
    pub fn signature(&self) -> PathBuf {
        self.root.join("manifest.json.sig")
    }

    /// Room that the capture keeps for its last manifest while it runs, for when the disk is full; it says nothing.
    pub fn reserve(&self) -> PathBuf {
        self.root.join("manifest.json.reserve")
    }

    /// The folder of kernel event segments: `000001.parquet` and on.
    pub fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// The folder of span tables.
    pub fn spans(&self) -> PathBuf {
        self.root.join("spans")
    }

    /// The folder of mark tables.
    pub fn marks(&self) -> PathBuf {
        self.root.join("marks")
    }

    /// Every span-log line as it was received, each in an envelope ([`crate::span_log::Received`]), appended while
    /// the capture runs. It keeps the lines that could not be read, and survives a killed capture.
    pub fn span_journal(&self) -> PathBuf {
        self.root.join(Self::SPAN_JOURNAL)
    }

    /// The folder of logs that were added after the capture: see [`crate::imports`].
    pub fn imports(&self) -> PathBuf {
        self.root.join("imports")
    }

    /// What lists them.
    pub fn imports_ledger(&self) -> PathBuf {
        self.root.join(Self::IMPORTS_LEDGER)
    }

    /// The path in the case of the `number`-th of them, counted from 1.
    pub fn import(number: usize) -> String {
        format!("imports/{number:06}.log")
    }

    /// The path in the case of the `number`-th file of a table (`events`, `spans`, `marks`), counted from 1. Numbers are left out where small files were
    /// replaced by one.
    pub fn segment(table: &str, number: u32) -> String {
        format!("{table}/{number:06}.parquet")
    }
}

#[cfg(test)]
mod tests {
    use super::CaseLayout;

    #[test]
    fn a_manifest_names_files_of_its_case_only() {
        for (path, expected) in [
            ("events/000001.parquet", true),
            ("spans/received.jsonl", true),
            ("events/..parquet", true),
            ("../secret", false),
            ("events/../../secret", false),
            ("/etc/passwd", false),
            ("events//1", false),
            ("./events", false),
            ("", false),
            ("C:\\secret", false),
            ("C:secret", false),
        ] {
            assert_eq!(CaseLayout::names_a_file(path), expected, "{path:?}");
        }
    }
}
