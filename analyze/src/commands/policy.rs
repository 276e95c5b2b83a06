//! `policy`: least privilege, as far as a tool's effects show it.

use super::{Status, emit, with_progress};
use crate::error::{Error, Result};
use crate::pipeline;
use crate::policy::{self, generate};
use crate::render::safe;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `policy`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The case folders to derive it from.
    #[arg(required = true, value_name = "CASE")]
    cases: Vec<PathBuf>,
    /// The tool's name in the agent's log.
    #[arg(long, value_name = "NAME")]
    tool: String,
    /// For which sandbox: settings of Anthropic's sandbox-runtime, or arguments of bubblewrap.
    #[arg(long, value_enum)]
    format: Format,
    /// Where to write it, instead of standard output.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Srt,
    Bwrap,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let reports = with_progress("analysing", || pipeline::reports(&arguments.cases))?;
    let known = reports.iter().flat_map(|report| &report.calls).any(|call| call.name == arguments.tool);
    if !known {
        let mut names: Vec<String> = reports
            .iter()
            .flat_map(|report| &report.calls)
            .filter(|call| call.kind == "tool" || call.kind == "step")
            .map(|call| safe::terminal(&call.name))
            .collect();
        names.sort();
        names.dedup();
        return Err(Error::NoSuchTool { name: arguments.tool.clone(), known: names.join(", ") });
    }
    let format = match arguments.format {
        Format::Srt => policy::Format::Srt,
        Format::Bwrap => policy::Format::Bwrap,
    };
    let made = generate(&arguments.tool, &reports, format);
    emit(&made.text, arguments.output.as_deref())?;
    // Beside the policy, not in it: the file must stay what the sandbox reads.
    for note in &made.notes {
        eprintln!("note: {}", safe::terminal(note));
    }
    Ok(Status::Fine)
}
