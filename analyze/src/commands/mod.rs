//! One file per subcommand: its arguments, and what it does with the pipeline's result.

pub mod attribute;
pub mod baseline;
pub mod explain;
pub mod import;
pub mod policy;
pub mod report;
pub mod timeline;
pub mod tools;
pub mod tree;
pub mod verify;

use crate::error::{Error, Result};
use crate::render::safe;
use indicatif::ProgressBar;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Fine.
    Fine,
    /// It is a check, and found something.
    Findings,
}

/// Writes to a file, or to standard output, whose reader may have gone: that is no error. A terminal is shown nothing
/// that it obeys, whatever the format.
pub(crate) fn emit(text: &str, output: Option<&Path>) -> Result<()> {
    let Some(path) = output else {
        let mut stdout = io::stdout().lock();
        let text = safe::lines(text, stdout.is_terminal());
        return match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::Write { path: "standard output".into(), source })
            }
            _ => Ok(()),
        };
    };
    std::fs::write(path, text).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// A value as JSON text.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    // Values of this program hold no maps with keys that are not text, which is all that could fail.
    safe::json(&serde_json::to_string_pretty(value).unwrap_or_default()) + "\n"
}

/// Runs something long with a spinner, which shows on a terminal only.
pub(crate) fn with_progress<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    let result = work();
    bar.finish_and_clear();
    result
}
