//! `report`: the incident report.

use super::{Status, emit, json, with_progress};
use crate::error::{Error, Result};
use crate::pipeline;
use crate::render::{html, markdown};
use argus_schemas::report::{Report, Severity};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// `report`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// Where to write it; the ending decides the format. Without it: standard output, as Markdown.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: Option<PathBuf>,
    /// The format, whatever the ending says.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Exit with status 1 if a finding is at least this grave.
    #[arg(long, value_enum, value_name = "LEVEL")]
    fail_on: Option<Level>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Html,
    Md,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Info => Severity::Info,
            Level::Low => Severity::Low,
            Level::Medium => Severity::Medium,
            Level::High => Severity::High,
            Level::Critical => Severity::Critical,
        }
    }
}

fn format_of(arguments: &Arguments) -> Result<Format> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    let Some(path) = &arguments.output else { return Ok(Format::Md) };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("html" | "htm") => Ok(Format::Html),
        Some("md" | "markdown") => Ok(Format::Md),
        Some("json") => Ok(Format::Json),
        _ => Err(Error::Format { path: path.clone() }),
    }
}

fn render(report: &Report, format: Format) -> String {
    match format {
        Format::Html => html::report(report),
        Format::Md => markdown::report(report),
        Format::Json => json(report),
    }
}

pub(crate) fn analysed(case: &Path) -> Result<pipeline::Analysis> {
    with_progress("analysing", || pipeline::analyse(case))
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let format = format_of(arguments)?;
    let report = analysed(&arguments.case)?.report;
    emit(&render(&report, format), arguments.output.as_deref())?;
    let grave = |level: Level| report.findings.iter().any(|finding| finding.severity >= Severity::from(level));
    Ok(if arguments.fail_on.is_some_and(grave) { Status::Findings } else { Status::Fine })
}
