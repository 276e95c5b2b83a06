//! `baseline learn` and `baseline check`: what is normal for a tool, and what is new in a run.

use super::report::analysed;
use super::{Status, emit, json, with_progress};
use crate::baseline::{self, Baseline};
use crate::error::{Error, Result};
use crate::pipeline;
use crate::render::baseline as text;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// `baseline`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Learn the effects of each tool from cases that are known to be good.
    Learn(Learn),
    /// List what a case did that the baseline does not know. Exit status 1 if there is any.
    Check(Check),
}

#[derive(Debug, Args)]
struct Learn {
    /// The case folders.
    #[arg(required = true, value_name = "CASE")]
    cases: Vec<PathBuf>,
    /// The baseline to write, JSON.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Args)]
struct Check {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// What `baseline learn` wrote.
    #[arg(long, value_name = "FILE")]
    baseline: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn read(path: &Path) -> Result<Baseline> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let refuse = |reason: String| Error::Baseline { path: path.to_owned(), reason };
    let read: Baseline = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    if read.baseline_version != baseline::VERSION {
        return Err(refuse(format!("it is of version {}, not {}", read.baseline_version, baseline::VERSION)));
    }
    Ok(read)
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    match &arguments.command {
        Command::Learn(learn) => {
            let reports = with_progress("analysing", || pipeline::reports(&learn.cases))?;
            let learned = baseline::learn(&reports);
            emit(&json(&learned), Some(&learn.output))?;
            emit(&text::learned(&learned), None)?;
            Ok(Status::Fine)
        }
        Command::Check(check) => {
            let known = read(&check.baseline)?;
            let found = baseline::check(&known, &analysed(&check.case)?.report);
            emit(&if check.json { json(&found) } else { text::checked(&found) }, None)?;
            Ok(if found.calls_with_news == 0 { Status::Fine } else { Status::Findings })
        }
    }
}
