//! `argus-capture`: the incident host's half of Argus. It follows a command in the kernel, takes the agent's spans,
//! and writes both as a case that `argus-analyze` reads anywhere.

mod attach;
mod case;
mod cli;
mod clock;
mod doctor;
mod error;
mod gaps;
mod hook;
mod launch;
mod mark;
mod mcp;
mod messenger;
mod names;
mod otlp;
mod receiver;
mod recorder;
mod requests;
mod rescue;
mod rights;
mod run;
mod safe;
mod segments;
mod tables;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Without colours, whatever is left of control characters in a message is not this program's.
    let _ = miette::set_hook(Box::new(|_| Box::new(miette::MietteHandlerOpts::new().color(false).build())));
    let outcome = match cli::Cli::parse().command {
        cli::Command::Run(arguments) => run::run(&arguments),
        cli::Command::Attach(arguments) => attach::attach(&arguments),
        cli::Command::Doctor(arguments) => doctor::doctor(&arguments),
        cli::Command::Mark(arguments) => mark::mark(&arguments),
        cli::Command::Hook(arguments) => hook::hook(&arguments),
        cli::Command::Mcp(arguments) => mcp::mcp(&arguments),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let status = error.exit_status();
            eprintln!("{}", safe::printable(&format!("{:?}", miette::Report::new(error))));
            ExitCode::from(status)
        }
    }
}
