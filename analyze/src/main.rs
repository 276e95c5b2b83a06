//! `argus-analyze`: see the library's page.

use argus_analyze::cli::Cli;
use argus_analyze::commands::Status;
use argus_analyze::error::Shown;
use argus_analyze::render::safe;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // What was asked for holds nothing from elsewhere; what was not understood may be the name of a file.
        Err(asked) if !asked.use_stderr() => asked.exit(),
        Err(refused) => {
            eprint!("{}", safe::lines(&refused.render().to_string(), true));
            return ExitCode::from(2);
        }
    };
    match cli.command.run() {
        Ok(Status::Fine) => ExitCode::SUCCESS,
        Ok(Status::Findings) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{:?}", miette::Report::new(Shown::from(&error as &dyn miette::Diagnostic)));
            ExitCode::from(2)
        }
    }
}
