//! `tree`: the process forest, with the call that each process belongs to.

use super::report::analysed;
use super::{Status, emit, json};
use crate::error::Result;
use crate::forest::Process;
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
    /// Print JSON: one object a process, each with its parent.
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

fn node(process: &Process, born: Option<u64>, owners: &HashMap<u64, String>, origin: u64) -> Node {
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
        parent: None,
        depth: 0,
        last: true,
    }
}

/// Every process, each before what it forked. An explicit stack: a chain of forks can be deeper than a thread's own.
fn nodes(analysis: &Analysis, owners: &HashMap<u64, String>) -> Vec<Node> {
    let (forest, origin) = (&analysis.forest, analysis.report.case.started_boot_ns);
    let roots = forest.processes().filter(|process| forest.forked_by(process.key).is_none());
    let mut stack: Vec<(&Process, Node)> =
        roots.map(|process| (process, node(process, None, owners, origin))).collect();
    stack.reverse();
    let mut nodes = Vec::new();
    while let Some((process, one)) = stack.pop() {
        for (place, (child, fork)) in forest.children(process.key).into_iter().rev().enumerate() {
            let below = Node {
                parent: Some((one.pid, one.start_ns)),
                depth: one.depth + 1,
                last: place == 0,
                ..node(child, Some(fork.event_id), owners, origin)
            };
            stack.push((child, below));
        }
        nodes.push(one);
    }
    nodes
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status> {
    let analysis = analysed(&arguments.case)?;
    let nodes = nodes(&analysis, &owners(&analysis)?);
    emit(&if arguments.json { json(&nodes) } else { text(&nodes) }, None)?;
    Ok(Status::Fine)
}
