//! Chains of links: which lead to an act, and in which order.

use super::*;
use crate::forest::{Row, grow};
use crate::judge::testing::manifest;
use argus_schemas::events::Kind;

fn key(pid: i32) -> ProcessKey {
    ProcessKey { pid, start_ns: u64::from(pid.unsigned_abs()) * 10 }
}

/// The agent, 10, with children 20, 30 and 40, and 41 of 40.
fn forest() -> Forest {
    let fork = |parent: i32, child: i32| Row {
        boot_ns: key(child).start_ns,
        kind: Some(Kind::Fork),
        key: Some(key(parent)),
        tid: parent,
        child: Some(key(child)),
        child_tid: Some(child),
        ..Row::default()
    };
    let mut manifest = manifest();
    manifest.root = Some(key(10));
    grow([(1, 10), (10, 20), (10, 30), (10, 40), (40, 41)].map(|(parent, child)| fork(parent, child)).into(), &manifest)
        .0
}

/// `(call, process, instant)` on either side; the event is the instant.
fn link(way: Way, from: (usize, i32, u64), to: (usize, i32, u64), object: &str) -> Link {
    let end = |(span, pid, boot_ns)| End { span: Some(span), process: key(pid), event_id: boot_ns, boot_ns };
    Link::new(end(to), end(from), way, object.to_owned())
}

#[track_caller]
fn check(links: &[Link], (span, pid, boot_ns): (Option<usize>, i32, u64), expected: &[&str]) {
    let act = Act { span, process: key(pid), boot_ns };
    let chain: Vec<&str> = chain(links, act, &forest()).into_iter().map(|link| link.object.as_str()).collect();
    assert_eq!(chain, expected);
}

#[test]
fn a_chain_goes_back_from_call_to_call_in_time() {
    let written = link(Way::Executed, (2, 20, 250), (3, 30, 320), "generator");
    let run = link(Way::Executed, (3, 30, 330), (4, 40, 405), "install.sh");
    let links = [written, run.clone()];
    check(&links, (Some(4), 40, 900), &["generator", "install.sh"]);
    // By a child of what was executed; not before it was, nor by another call.
    check(&links, (Some(4), 41, 900), &["generator", "install.sh"]);
    check(&links, (Some(4), 40, 402), &[]);
    check(&links, (Some(5), 41, 900), &[]);
    check(&links, (Some(3), 30, 325), &["generator"]);
    // What the giver ran only afterwards did not lead to what it gave.
    let later = link(Way::Executed, (2, 20, 335), (3, 30, 340), "later");
    check(&[run, later], (Some(4), 40, 900), &["install.sh"]);
}

#[test]
fn what_was_executed_says_more_than_what_was_read_and_the_last_more_than_the_first() {
    let ran = link(Way::Executed, (2, 20, 500), (4, 40, 600), "script");
    let read = |at| link(Way::Read, (3, 30, 350), (4, 40, at), &format!("data-{at}"));
    check(&[ran, read(700), read(710)], (Some(4), 40, 900), &["script"]);
    check(&[read(700), read(710)], (Some(4), 40, 900), &["data-710"]);
    // Nobody knows whose a daemon's work is: whatever arrived at it counts, unless the worker was forked before.
    check(&[read(405)], (None, 41, 900), &["data-405"]);
    check(&[read(700)], (None, 41, 900), &[]);
}

#[test]
fn links_that_go_in_a_circle_end() {
    let there = link(Way::Read, (2, 20, 500), (3, 30, 600), "there");
    let back = link(Way::Read, (3, 30, 550), (2, 20, 560), "back");
    check(&[there, back], (Some(3), 30, 900), &["there"]);
    let mutual: Vec<Link> = (0..50u64)
        .flat_map(|round| {
            let at = 500 + round * 10;
            [
                link(Way::Pipe, (2, 20, at), (3, 30, at + 5), "there"),
                link(Way::Pipe, (3, 30, at + 6), (2, 20, at + 9), "back"),
            ]
        })
        .collect();
    let act = Act { span: Some(3), process: key(30), boot_ns: 2_000 };
    assert_eq!(chain(&mutual, act, &forest()).len(), 8);
}
