//! What can go wrong on the incident host, and what to do about it.

use argus_bpf::ProbeError;
use argus_schemas::signature::SignatureError;
use miette::Diagnostic;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Every error of this program.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// The case folder is already in use.
    #[error("{path} already exists and is not empty")]
    #[diagnostic(help("a case is written once: name another folder with -o"))]
    CaseExists {
        /// The folder.
        path: PathBuf,
    },
    /// The case's path would lead elsewhere.
    #[error("{path} is a symbolic link")]
    #[diagnostic(help(
        "a case is not written through a link, which another user may turn elsewhere: name the folder itself with -o \
         (realpath tells where it lies)"
    ))]
    CaseIsLink {
        /// The link.
        path: PathBuf,
    },
    /// Reading failed.
    #[error("cannot read {path}")]
    #[diagnostic(help("check that the file is there and may be read"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key that should sign the case is of no use.
    #[error("the case cannot be signed with {path}")]
    #[diagnostic(help(
        "name an OpenSSH private key without a passphrase: the host's own (/etc/ssh/ssh_host_ed25519_key), or one made \
         by `ssh-keygen -t ed25519`"
    ))]
    Key {
        /// The key's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// The manifest could not be signed.
    #[error("the manifest could not be signed")]
    #[diagnostic(help("this is a defect of argus-capture: please report it with this message"))]
    Sign(#[from] SignatureError),
    /// Nobody is there.
    #[error("there is no {what} to follow")]
    #[diagnostic(help(
        "name a process that runs (ps), or the folder of a control group of version 2 with processes in it"
    ))]
    NothingToFollow {
        /// Who was asked for.
        what: String,
    },
    /// Writing failed.
    #[error("cannot write {path}")]
    #[diagnostic(help("check the free space and the rights on the folder; what was closed before stays readable"))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A table could not be encoded.
    #[error("cannot write the table {path}")]
    #[diagnostic(help("check the free space and the rights on the folder; what was closed before stays readable"))]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The columns of a table are not of one length.
    #[error("cannot put a table together")]
    #[diagnostic(help("this is a defect of argus-capture: please report it with this message"))]
    Columns {
        /// Why.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// No such user.
    #[error("there is no user {name}")]
    #[diagnostic(help("give a name or a number that `getent passwd` knows with --user"))]
    NoUser {
        /// As given.
        name: String,
    },
    /// The command does not start.
    #[error("cannot start {command}")]
    #[diagnostic(help("check the name, the PATH, and that the user it runs as may execute it"))]
    Start {
        /// The program.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The kernel cannot be asked.
    #[error(transparent)]
    #[diagnostic(help(
        "run it as root (sudo argus-capture ...), on Linux 5.17 or newer with BTF, as Debian, Ubuntu and others build \
         it; `sudo argus-capture doctor` tells what this machine lacks"
    ))]
    Probe(#[from] ProbeError),
    /// OTLP cannot be received.
    #[error("OTLP cannot be received at {address}")]
    #[diagnostic(help("name another port with --otlp; 127.0.0.1:0 takes any that is free"))]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A value that should be JSON is not.
    #[error("the value of {option} is not JSON")]
    #[diagnostic(help("quote it for the shell: {option} '{{\"key\": \"value\"}}'"))]
    NotJson {
        /// Which.
        option: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The system refused something small.
    #[error("{doing} failed")]
    #[diagnostic(help("the system's own message says why; `argus-capture doctor` tells what this machine allows"))]
    System {
        /// What.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The result of most functions here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The error and its causes, in one line.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(one) = cause {
            text.push_str(&format!(": {one}"));
            cause = one.source();
        }
        text
    }

    /// Whether a place refuses to be written to, where another one may not.
    pub fn is_refusal(&self) -> bool {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Error::Write { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }

    /// The exit status: a shell's 127 or 126 for a command that does not start, else 2.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
            Error::Start { .. } => 126,
            _ => 2,
        }
    }
}
