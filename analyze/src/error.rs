//! What can go wrong on the laptop, and what to do about it.

use crate::render::safe;
use argus_schemas::signature::SignatureError;
use miette::Diagnostic;
use std::fmt;
use std::path::PathBuf;

/// Every error of this program. An imperfect case is no error but a finding; only what cannot be read is.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// A file cannot be opened or read.
    #[error("cannot read {path}")]
    #[diagnostic(help("check the path and the rights; a case recorded under sudo belongs to the user who ran sudo"))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    #[diagnostic(help("check the folder, its rights and its free space, or name another file with -o"))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The keys that should have signed a case cannot be understood.
    #[error("{path} holds no public keys")]
    #[diagnostic(help(
        "name a file as ssh-keygen writes it: one `ssh-ed25519 AAAA...` or `ecdsa-sha2-nistp256 AAAA...` a line"
    ))]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// What lists the imported logs is not of the known shape.
    #[error("{path} is no list of imported logs: {reason}")]
    #[diagnostic(help(
        "the file was cut off or changed; without the folder `imports` the case is as the capture left it"
    ))]
    Ledger {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// A log is in no format that is known.
    #[error("{path} is no log that can be imported")]
    #[diagnostic(help(
        "known are OTLP's JSON, Claude Code transcripts, Codex rollouts, Gemini sessions, exports of the OpenAI Agents SDK \
         and of LangSmith, and Argus's span log; --format names one of them"
    ))]
    UnknownLog {
        /// The file.
        path: PathBuf,
    },
    /// A log is in UTF-16.
    #[error("{path} is a log in UTF-16")]
    #[diagnostic(help("convert it to UTF-8 first: iconv -f UTF-16 -t UTF-8 <FILE >FILE.utf8"))]
    Utf16Log {
        /// The file.
        path: PathBuf,
    },
    /// There is no manifest.
    #[error("{path} is not a case: it has no manifest.json")]
    #[diagnostic(help("name the folder that `argus-capture run -o` wrote, usually NAME.argus"))]
    NotACase {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is not of the known shape.
    #[error("{path} is not a manifest: {reason}")]
    #[diagnostic(help("the file was cut off or changed; take the case from its original place again"))]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// The case is of another format version.
    #[error("{path} is of case format {found}, and this program reads format {known}")]
    #[diagnostic(help(
        "use the argus-analyze of the version that recorded the case (the manifest's `writer` tells it)"
    ))]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The known one.
        known: u32,
    },
    /// A table cannot be read.
    #[error("{path} is not a readable table: {reason}")]
    #[diagnostic(help(
        "`argus-analyze verify CASE` tells what changed since the capture; to report on the rest, move this file out \
         of the case: the report then states the gap"
    ))]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The ending of the report's name says no format.
    #[error("cannot tell the report's format from {path}")]
    #[diagnostic(help("let the name end in .html, .md or .json, or add --format"))]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// No call has this tool's name.
    #[error("no call of a tool named {name} is in the case")]
    #[diagnostic(help("the tools in the case: {known}"))]
    NoSuchTool {
        /// The name.
        name: String,
        /// The names that are there.
        known: String,
    },
    /// No event has this id.
    #[error("the case has no event {event}: {known}")]
    #[diagnostic(help(
        "findings, effects and the timeline of `argus-analyze report CASE` cite the events behind them by their ids"
    ))]
    NoSuchEvent {
        /// The id.
        event: u64,
        /// The ids that are there, in words.
        known: String,
    },
    /// Not what `baseline learn` writes.
    #[error("{path} is not a baseline: {reason}")]
    #[diagnostic(help("write one with `argus-analyze baseline learn CASE... -o FILE`"))]
    Baseline {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A query failed.
    #[error("a query over the case failed")]
    #[diagnostic(help("this is a defect of argus-analyze: please report it with this message"))]
    Query(#[from] polars::prelude::PolarsError),
}

/// The result of most functions here.
pub type Result<T> = std::result::Result<T, Error>;

/// An error as it is shown: names of files and what parsers quote come from the case, so none of it may be obeyed by the
/// terminal that it is printed on.
#[derive(Debug)]
pub struct Shown {
    message: String,
    help: Option<String>,
    source: Option<Box<Shown>>,
}

impl Shown {
    fn source_of(error: &(dyn std::error::Error + 'static)) -> Self {
        let source = error.source().map(Shown::source_of).map(Box::new);
        Shown { message: safe::lines(&error.to_string(), true).into_owned(), help: None, source }
    }
}

impl From<&dyn Diagnostic> for Shown {
    fn from(error: &dyn Diagnostic) -> Self {
        Shown {
            message: safe::lines(&error.to_string(), true).into_owned(),
            help: error.help().map(|help| safe::lines(&help.to_string(), true).into_owned()),
            source: error.source().map(Shown::source_of).map(Box::new),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &Error) {
        let shown = format!("{:?}", miette::Report::new(Shown::from(error as &dyn Diagnostic)));
        assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{7}']) && !shown.contains("\u{1b}]"), "{shown:?}");
        assert!(shown.contains("\\u{1b}]0;x\\u{7}") && shown.contains("\\u{202e}"), "{shown:?}");
    }

    #[test]
    fn no_error_is_obeyed() {
        let evil = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}";
        let source = std::io::Error::other(format!("no {evil}"));
        check(&Error::Read { path: evil.into(), source });
        check(&Error::Manifest { path: "m".into(), reason: evil.to_owned() });
        check(&Error::NoSuchTool { name: "t".to_owned(), known: evil.to_owned() });
        check(&Error::Read { path: "p".into(), source: std::io::Error::other(evil) });
    }
}
