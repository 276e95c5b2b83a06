//! The command line.

use crate::commands::{attribute, baseline, explain, import, policy, report, timeline, tools, tree, verify};
use clap::{Parser, Subcommand};

/// Rebuilds what an agent's tool calls did from a case that argus-capture recorded. Needs no root and no Linux.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 fine; 1 findings, where the command is a check (verify, baseline check, \
                  report --fail-on); 2 an error."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the incident report: one HTML file, Markdown, or JSON.
    Report(report::Arguments),
    /// Print calls and notable acts in order of time.
    Timeline(timeline::Arguments),
    /// Print what each call was told, what it did, and what of that nobody declared.
    Tools(tools::Arguments),
    /// Print the process forest with the call that each process belongs to.
    Tree(tree::Arguments),
    /// Say why an event has its verdict, step by step.
    Explain(explain::Arguments),
    /// Write the verdict of every event as a Parquet table.
    Attribute(attribute::Arguments),
    /// Add an agent's log that was recorded elsewhere to a case.
    Import(import::Arguments),
    /// Check that the case is still what the capture wrote.
    Verify(verify::Arguments),
    /// Learn what is normal for each tool, and check a case against it.
    Baseline(baseline::Arguments),
    /// Derive a least-privilege policy from what a tool did.
    Policy(policy::Arguments),
}

impl Command {
    /// Runs it.
    ///
    /// # Errors
    /// When a file cannot be read or written; findings are no error.
    pub fn run(self) -> crate::error::Result<crate::commands::Status> {
        match self {
            Command::Report(arguments) => report::run(&arguments),
            Command::Timeline(arguments) => timeline::run(&arguments),
            Command::Tools(arguments) => tools::run(&arguments),
            Command::Tree(arguments) => tree::run(&arguments),
            Command::Explain(arguments) => explain::run(&arguments),
            Command::Attribute(arguments) => attribute::run(&arguments),
            Command::Import(arguments) => import::run(&arguments),
            Command::Verify(arguments) => verify::run(&arguments),
            Command::Baseline(arguments) => baseline::run(&arguments),
            Command::Policy(arguments) => policy::run(&arguments),
        }
    }
}
