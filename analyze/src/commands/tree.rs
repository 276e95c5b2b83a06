//! `tree`: the process forest, with the call that each process belongs to.

use super::report::analysed;
use super::{Status, emit, json};
use crate::error::Result;
use crate::forest::{Forest, Process};
use crate::pipeline::Analysis;
use crate::render::tree::{Node, text};
use clap::Args;
use std::collections::HashMap;
use std::path::PathBuf;

/// `tree`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The case folder.
    #[arg(value_name = "CASE")]
    case: PathBuf,
    /// Print JSON: the roots, each with its children.
    #[arg(long)]
    json: bool,
}

/// Who owns an event, in words; by event id.
fn owners(analysis: &Analysis) -> Result<HashMap<u64, String>> {
    let calls: HashMap<&str, String> = analysis
        .report
        .calls
        .iter()
        .map(|call| (call.span_id.as_str(), format!("call {} {}", call.number, call.name)))
        .collect();
    let verdicts = &analysis.verdicts;
    let (ids, owner, verdict) =
        (verdicts.column("event_id")?.u64()?, verdicts.column("owner")?.str()?, verdicts.column("verdict")?.str()?);
    Ok((0..verdicts.height())
        .filter_map(|row| {
            let verdict = verdict.get(row)?;
            let named = owner.get(row).and_then(|owner| calls.get(owner)).filter(|_| verdict == "attributed");
            // The fork of the first process is the recorder's; the process itself is the agent's.
            let word = if verdict == "outside" { "runtime" } else { verdict };
            Some((ids.get(row)?, named.cloned().unwrap_or_else(|| word.to_owned())))
        })
        .collect())
}

fn node(process: &Process, born: Option<u64>, forest: &Forest, owners: &HashMap<u64, String>, origin: u64) -> Node {
    let last = process.last_exec();
    let event = last.map(|exec| exec.event_id).or(born);
    Node {
        pid: process.key.pid,
        start_ns: process.key.start_ns.saturating_sub(origin),
        ended_ns: process.ended_ns.map(|ended| ended.saturating_sub(origin)),
        exe: last.and_then(|exec| exec.exe.clone()).or_else(|| process.comm.clone()).unwrap_or_default(),
        argv: last.map(|exec| exec.argv.clone()).unwrap_or_default(),
        exit_code: process.exit_code,
        signal: process.signal.filter(|signal| *signal != 0),
        owner: event.and_then(|event| owners.get(&event).cloned()).unwrap_or_else(|| "unknown".to_owned()),
        children: forest
            .children(process.key)
            .into_iter()
            .map(|(child, fork)| node(child, Some(fork.event_id), forest, owners, origin))
            .collect(),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let analysis = analysed(&arguments.case)?;
    let owners = owners(&analysis)?;
    let origin = analysis.report.case.started_boot_ns;
    let roots: Vec<Node> = analysis
        .forest
        .processes()
        .filter(|process| analysis.forest.forked_by(process.key).is_none())
        .map(|process| node(process, None, &analysis.forest, &owners, origin))
        .collect();
    emit(&if arguments.json { json(&roots) } else { text(&roots) }, None)?;
    Ok(Status::Fine)
}
