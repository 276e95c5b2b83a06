//! `verify`: whether the case is still what the capture wrote.

use super::{Status, emit, json, with_progress};
use crate::error::Result;
use crate::render::safe;
use crate::verify::{Verification, verify};
use clap::Args;
use std::path::PathBuf;

/// `verify`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// Demand that one of the OpenSSH public keys in this file has signed the case.
    #[arg(long, value_name = "KEY.pub")]
    signer: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn text(found: &Verification) -> String {
    let mut text = String::new();
    for check in &found.checks {
        let mut details = check.details.iter().map(|detail| safe::terminal(detail));
        let first = details.next().unwrap_or_default();
        text.push_str(&format!("{:4} {:15} {first}\n", if check.holds { "ok" } else { "FAIL" }, check.what));
        details.for_each(|detail| text.push_str(&format!("{:20} {detail}\n", "")));
    }
    text.push_str(&format!("SHA-256 of the manifest: {}\n", found.manifest_sha256));
    if found.was_interrupted() {
        text.push_str("The capture was interrupted; what it recorded until then agrees with its last manifest.\n");
    } else if !found.holds() {
        text.push_str("The case is not as it was recorded, or was not recorded whole.\n");
    }
    text
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let found = with_progress("verifying", || verify(&arguments.case, arguments.signer.as_deref()))?;
    emit(&if arguments.json { json(&found) } else { text(&found) }, None)?;
    Ok(if found.holds() { Status::Fine } else { Status::Findings })
}
