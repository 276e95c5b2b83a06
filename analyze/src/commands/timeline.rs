//! `timeline`: calls and notable acts in order of time.

use super::report::analysed;
use super::{Status, emit};
use crate::error::Result;
use crate::render::{csv, safe, text};
use argus_schemas::report::Report;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `timeline`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to write it, instead of standard output.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Csv,
    Jsonl,
}

fn json_lines(report: &Report) -> String {
    let line = |entry| safe::json(&serde_json::to_string(entry).unwrap_or_default()) + "\n";
    report.timeline.iter().map(line).collect()
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let report = analysed(&arguments.case)?.report;
    let printed = match arguments.format {
        Format::Text => text::timeline(&report),
        Format::Csv => csv::timeline(&report),
        Format::Jsonl => json_lines(&report),
    };
    emit(&printed, arguments.output.as_deref())?;
    Ok(Status::Fine)
}
