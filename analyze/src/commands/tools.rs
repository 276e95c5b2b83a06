//! `tools`: the evidence on each call.

use super::report::analysed;
use super::{Status, emit, json};
use crate::error::Result;
use crate::render::text;
use clap::Args;
use std::path::PathBuf;

/// `tools`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// Print JSON: the calls of the report.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let report = analysed(&arguments.case)?.report;
    emit(&if arguments.json { json(&report.calls) } else { text::tools(&report) }, None)?;
    Ok(Status::Fine)
}
