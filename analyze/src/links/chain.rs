//! The chain of links that leads to an event: what one call gave led another to do something, which led to this.

use super::Link;
use crate::forest::Forest;
use argus_schemas::manifest::ProcessKey;
use argus_schemas::report::Way;

/// How many links a chain has at most.
const LONGEST: usize = 8;

/// What a chain leads to.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    /// The call that did it; `None`: it is not known which.
    pub span: Option<usize>,
    /// The process.
    pub process: ProcessKey,
    /// When, CLOCK_BOOTTIME.
    pub boot_ns: u64,
}

/// The links that lead to an act, the earliest first. Of several that arrived at one process, what it executed says more than
/// what it received, and the last more than the first.
pub fn chain<'a>(links: &'a [Link], act: Act, forest: &Forest) -> Vec<&'a Link> {
    let mut chain = Vec::new();
    let mut act = act;
    while chain.len() < LONGEST {
        let Some(link) = last(links, act, forest) else { break };
        // Time runs backwards, so that this cannot go in a circle.
        let boot_ns = link.from.boot_ns.min(act.boot_ns.saturating_sub(1));
        act = Act { span: link.from.span, process: link.from.process, boot_ns };
        chain.push(link);
    }
    chain.reverse();
    chain
}

/// The last link that arrived, before an act, at its process or at one that it descends from. What arrived at an ancestor for
/// another call led to no more than that there was a call.
fn last<'a>(links: &'a [Link], act: Act, forest: &Forest) -> Option<&'a Link> {
    let mut at = Some((act.process, act.boot_ns));
    while let Some((process, until)) = at {
        let its = |link: &&Link| {
            let whose = act.span.is_none() || link.to.span == act.span;
            whose && link.to.process == process && link.to.boot_ns <= until
        };
        let best = links.iter().filter(its).max_by_key(|link| (link.way == Way::Executed, link.to.boot_ns));
        if best.is_some() {
            return best;
        }
        at = forest.forked_by(process).map(|(parent, fork)| (parent.key, fork.boot_ns));
    }
    None
}
