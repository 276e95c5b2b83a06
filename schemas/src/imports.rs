//! `imports/`: logs of agents that were recorded elsewhere and added to a case afterwards, each as it was, with a ledger.
//!
//! What the capture wrote stays untouched, its signature included. The logs are read anew at each analysis, so that the
//! evidence is the log itself, and not what some version of a reader made of it.

use crate::manifest::chain;
use serde::{Deserialize, Serialize};

/// The version of the ledger.
pub const VERSION: u32 = 1;

/// `imports/ledger.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// [`VERSION`].
    pub version: u32,
    /// SHA-256 of the manifest that the logs were added to.
    pub manifest_sha256: String,
    /// The logs, in the order in which they were added.
    pub logs: Vec<Log>,
}

/// A log that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Relative to the case folder.
    pub path: String,
    /// The name of the file that it was read from.
    pub name: String,
    /// The format, [`crate::import::Format::as_str`].
    pub format: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lowercase hex.
    pub sha256: String,
    /// [`chain`] of the entry before (the manifest's hash for the first), this path and this hash.
    pub chain: String,
}

impl Ledger {
    /// Nothing was added yet.
    pub fn new(manifest_sha256: String) -> Self {
        Self { version: VERSION, manifest_sha256, logs: Vec::new() }
    }

    /// Enters a log.
    pub fn add(&mut self, path: String, name: String, format: String, bytes: u64, sha256: String) {
        let chain = chain(self.last(), &path, &sha256);
        self.logs.push(Log { path, name, format, bytes, sha256, chain });
    }

    fn last(&self) -> &str {
        self.logs.last().map_or(&self.manifest_sha256, |log| &log.chain)
    }

    /// The first entry that does not follow on the one before.
    pub fn broken_at(&self) -> Option<&Log> {
        let mut before = self.manifest_sha256.as_str();
        self.logs.iter().find(|log| {
            let follows = chain(before, &log.path, &log.sha256) == log.chain;
            before = &log.chain;
            !follows
        })
    }
}
