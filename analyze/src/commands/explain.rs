//! `explain`: why an event has its verdict, step by step.

use super::{Status, emit, json, with_progress};
use crate::error::Result;
use crate::render::explain::text;
use crate::{explain, pipeline};
use clap::Args;
use std::path::PathBuf;

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  argus-analyze explain incident.argus 175\n\n\
                        Findings and effects in a report cite the events behind them by their ids.")]
pub struct Arguments {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// The event's id, as reports cite it.
    #[arg(value_name = "EVENT_ID")]
    event: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let (_, told) = with_progress("analysing", || {
        pipeline::examine(&arguments.case, |examined| explain::explain(arguments.event, examined))
    })?;
    let told = told?;
    emit(&if arguments.json { json(&told) } else { text(&told) }, None)?;
    Ok(Status::Fine)
}
