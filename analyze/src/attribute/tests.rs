//! The rules of attribution as tables of small scenes. Beneath: the join against a naive oracle, random runs of an agent whose
//! truth is known ([`random`]), and records that contradict themselves ([`mutated`]).

mod arguments;
mod handoffs;
mod messengers;
mod mutated;
mod random;
mod relays;

use super::arguments::Arguments;
use super::claims::Claims;
use super::holes::Holes;
use super::ledger::{EVERY_THREAD, Holder, Ledger, Ownership};
use super::{ends, join, walk};
use crate::forest::{Forest, Row, grow};
use crate::judge::testing::manifest;
use argus_schemas::events::Kind;
use argus_schemas::manifest::{Loss, Manifest, ProcessKey};
use argus_schemas::report::Finding;
use argus_schemas::spans::{Mark, Span};
use polars::prelude::*;
use std::collections::BTreeMap;

/// A process is named by its pid; it starts at ten times that, so that pids are also the order of birth.
fn key(pid: i32) -> ProcessKey {
    ProcessKey { pid, start_ns: u64::from(pid.unsigned_abs()) * 10 }
}

const AGENT: i32 = 10;
const RECORDER: i32 = 1;

/// A made-up case.
struct Scene {
    rows: Vec<Row>,
    spans: Vec<Span>,
    marks: Vec<Mark>,
    uses: Vec<ends::Row>,
    unread: Vec<(Option<i32>, u64)>,
    aliases: BTreeMap<String, String>,
    sides: BTreeMap<String, String>,
    manifest: Manifest,
}

impl Scene {
    /// An agent, pid 10, started by the recorder.
    fn new() -> Scene {
        let mut scene = Scene {
            rows: Vec::new(),
            spans: Vec::new(),
            marks: Vec::new(),
            uses: Vec::new(),
            unread: Vec::new(),
            aliases: BTreeMap::new(),
            sides: BTreeMap::new(),
            manifest: manifest(),
        };
        scene.manifest.root = Some(key(AGENT));
        scene.manifest.losses.clear();
        scene.fork(99, RECORDER, RECORDER, AGENT)
    }

    fn row(mut self, boot_ns: u64, pid: i32, tid: i32, row: Row) -> Scene {
        let event_id = self.rows.len() as u64;
        self.rows.push(Row { event_id, boot_ns, key: Some(key(pid)), tid, ns_pid: Some(pid), ..row });
        self
    }

    fn fork(self, at: u64, pid: i32, tid: i32, child: i32) -> Scene {
        let row = Row { kind: Some(Kind::Fork), child: Some(key(child)), child_tid: Some(child), ..Row::default() };
        self.row(at, pid, tid, row)
    }

    fn thread(self, at: u64, pid: i32, tid: i32, created: i32) -> Scene {
        let row = Row { kind: Some(Kind::Fork), child: Some(key(pid)), child_tid: Some(created), ..Row::default() };
        self.row(at, pid, tid, row)
    }

    fn exec(self, at: u64, pid: i32, carrier: Option<&str>) -> Scene {
        let traceparent = carrier.map(|span| format!("00-{}-{}-01", "f".repeat(32), id(span)));
        self.row(at, pid, pid, Row { kind: Some(Kind::Exec), ret: Some(0), traceparent, ..Row::default() })
    }

    fn exit(self, at: u64, pid: i32, tid: i32, last: bool) -> Scene {
        self.row(at, pid, tid, Row { kind: Some(Kind::Exit), flags: Some(u64::from(last)), ..Row::default() })
    }

    /// A thread that is only known from what it did.
    fn seen(self, at: u64, pid: i32, tid: i32) -> Scene {
        self.row(at, pid, tid, Row::default())
    }

    /// A tool's span, said by `pid` on `tid` (0: it does not say).
    fn span(mut self, name: &str, (start, end): (u64, u64), pid: i32, tid: i32) -> Scene {
        self.spans.push(Span {
            span_id: id(name),
            kind: "tool".to_owned(),
            name: name.to_owned(),
            pid: Some(pid),
            tid: (tid != 0).then_some(tid),
            start_boot_ns: start,
            end_boot_ns: (end != 0).then_some(end),
            author_pid: Some(pid),
            ..Span::default()
        });
        self
    }

    /// Changes the last span.
    fn that(mut self, change: impl FnOnce(&mut Span)) -> Scene {
        change(self.spans.last_mut().expect("a span came before"));
        self
    }

    /// Says that the last span was reported by messengers, for the process that it names.
    fn reported_by(self, starter: i32, ender: i32) -> Scene {
        self.that(|span| {
            (span.for_pid, span.pid, span.tid) = (span.pid, None, None);
            (span.author_pid, span.end_author_pid) = (Some(starter), Some(ender));
        })
    }

    /// A shell or another program that a process executes.
    fn executes(self, at: u64, pid: i32, program: &str) -> Scene {
        let exe = Some(format!("/usr/bin/{program}"));
        self.row(at, pid, pid, Row { kind: Some(Kind::Exec), ret: Some(0), exe, ..Row::default() })
    }

    fn inside(self, outer: &str) -> Scene {
        let outer = id(outer);
        self.that(|span| span.parent_id = Some(outer))
    }

    /// Says that another stream, in a trace of its own, tells of a span under another name.
    fn known_as(mut self, span: &str, other: &str) -> Scene {
        self.aliases.insert(id(other), id(span));
        self
    }

    /// Says that the last span tells of the far side of another.
    fn side_of(mut self, call: &str) -> Scene {
        let side = self.spans.last().expect("a span came before").span_id.clone();
        self.sides.insert(side, id(call));
        self.inside(call)
    }

    fn mark(mut self, at: u64, author: i32, tid: i32, span: Option<&str>) -> Scene {
        self.marks.push(Mark {
            pid: Some(author),
            tid,
            span_id: span.map(id),
            boot_ns: at,
            author_pid: Some(author),
            author_uid: None,
            how: None,
        });
        self
    }

    /// Says of the last mark what its thread has to do with the span.
    fn how(mut self, how: &str) -> Scene {
        self.marks.last_mut().expect("a mark came before").how = Some(how.to_owned());
        self
    }

    fn attribute(&mut self) -> (Forest, Ledger, Claims<'_>, Vec<Finding>) {
        let (forest, mut findings) = grow(self.rows.clone(), &self.manifest);
        self.spans.sort_by_key(|span| span.start_boot_ns);
        let (mut claims, odd) = Claims::check(&self.spans, &self.marks, &forest, &self.manifest);
        findings.extend(odd);
        claims.also_known(&self.aliases);
        claims.sides_of(&self.sides);
        claims.doubt_ends(&self.unread, &self.manifest.losses);
        let ends = ends::pair(self.uses.clone(), &forest);
        let (mut walked, contradictions) =
            walk::walk(&forest, &mut claims, &Arguments::default(), &ends, &Holes::of(&self.manifest));
        findings.extend(contradictions);
        walked.unite(|span| claims.call_of(span));
        (forest, walked.ledger, claims, findings)
    }
}

fn id(name: &str) -> String {
    format!("{name:0>16}")
}

/// Who owns a thread at an instant: `A thread`, `A|B`, `agent`, `agent run`, `? reason`.
fn owner(ledger: &Ledger, claims: &Claims, (pid, tid, at): (i32, i32, u64)) -> String {
    let Some(ownership) = ledger.at(key(pid), tid, at) else { return "nothing".to_owned() };
    let name = |span: &usize| claims.span(*span).name.clone();
    match &ownership.holder {
        Holder::Span(span) => format!("{} {}", name(span), ownership.basis.expect("a span's has a basis").as_str()),
        Holder::Several(spans) => spans.iter().map(name).collect::<Vec<_>>().join("|"),
        Holder::Agent(None) => "agent".to_owned(),
        Holder::Agent(Some(span)) => format!("agent {}", name(span)),
        Holder::Unknown(_) | Holder::Doubtful(..) => "?".to_owned(),
    }
}

#[track_caller]
fn check(mut scene: Scene, expected: &[((i32, i32, u64), &str)], rules: &[&str]) {
    let (_, ledger, claims, findings) = scene.attribute();
    let got: Vec<_> = expected.iter().map(|(when, _)| (*when, owner(&ledger, &claims, *when))).collect();
    let expected: Vec<_> = expected.iter().map(|(when, owner)| (*when, (*owner).to_owned())).collect();
    assert_eq!(got, expected, "{findings:#?}");
    let found: Vec<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(found, rules);
}

#[test]
fn lineage_begins_at_the_fork_and_outlives_the_call() {
    let scene = Scene::new()
        .span("A", (1_000, 2_000), AGENT, AGENT)
        .fork(1_100, AGENT, AGENT, 110)
        .fork(1_200, 110, 110, 120)
        .exit(1_300, 110, 110, true)
        .fork(2_500, AGENT, AGENT, 250)
        .fork(2_600, 120, 120, 260);
    let expected = [
        ((AGENT, AGENT, 500), "agent"),
        ((AGENT, AGENT, 1_000), "A window"),
        ((110, 110, 1_150), "A lineage"),
        ((120, 120, 9_000), "A lineage"),
        ((260, 260, 9_000), "A lineage"),
        ((250, 250, 9_000), "agent"),
        ((AGENT, AGENT, 2_001), "agent"),
    ];
    check(scene, &expected, &[]);
}

#[test]
fn the_forking_thread_decides_not_the_process() {
    let scene = Scene::new()
        .thread(150, AGENT, AGENT, 11)
        .thread(160, AGENT, AGENT, 12)
        .span("A", (1_000, 3_000), AGENT, 11)
        .span("B", (1_500, 3_000), AGENT, 12)
        .fork(2_000, AGENT, 11, 200)
        .fork(2_100, AGENT, 12, 210)
        .fork(2_200, AGENT, AGENT, 220);
    let expected = [((200, 200, 2_500), "A lineage"), ((210, 210, 2_500), "B lineage"), ((220, 220, 2_500), "A|B")];
    check(scene, &expected, &[]);
}

#[test]
fn a_carrier_may_name_a_call_as_another_stream_does() {
    let scene = Scene::new()
        .span("A", (1_000, 2_000), AGENT, AGENT)
        .that(|span| span.trace_id = Some("a".repeat(32)))
        .known_as("A", "E")
        .span("B", (1_000, 2_000), AGENT, AGENT)
        .fork(1_500, AGENT, AGENT, 150)
        .exec(1_510, 150, Some("E"))
        .fork(1_600, AGENT, AGENT, 160)
        .exec(1_610, 160, Some("A"));
    // Under its own name it is of its own trace.
    check(scene, &[((150, 150, 1_600), "A carrier"), ((160, 160, 1_700), "A|B")], &[]);
}

#[test]
fn marks_tell_overlapping_calls_in_one_thread_apart() {
    let scene = Scene::new()
        .span("A", (1_000, 3_000), AGENT, AGENT)
        .span("B", (1_500, 3_500), AGENT, AGENT)
        .mark(1_000, AGENT, AGENT, Some("A"))
        .mark(1_500, AGENT, AGENT, Some("B"))
        .mark(2_000, AGENT, AGENT, None)
        .mark(2_500, AGENT, AGENT, Some("A"))
        .fork(2_600, AGENT, AGENT, 260)
        .mark(3_500, AGENT, AGENT, None);
    let expected = [
        ((AGENT, AGENT, 1_200), "A thread"),
        ((AGENT, AGENT, 1_500), "B thread"),
        ((AGENT, AGENT, 2_200), "agent"),
        ((260, 260, 9_000), "A lineage"),
        // What a task does after its call has returned is the call's, and late.
        ((AGENT, AGENT, 3_200), "A thread"),
        ((AGENT, AGENT, 3_600), "agent"),
    ];
    check(scene, &expected, &[]);
}

#[test]
fn without_marks_they_are_ambiguous_unless_nested() {
    let overlapping = Scene::new().span("A", (1_000, 3_000), AGENT, AGENT).span("B", (1_500, 3_500), AGENT, AGENT);
    let expected =
        [((AGENT, AGENT, 1_200), "A window"), ((AGENT, AGENT, 2_000), "A|B"), ((AGENT, AGENT, 3_200), "B window")];
    check(overlapping, &expected, &[]);
    let nested =
        Scene::new().span("A", (1_000, 3_000), AGENT, AGENT).span("B", (1_500, 2_500), AGENT, AGENT).inside("A");
    check(nested, &[((AGENT, AGENT, 2_000), "B window"), ((AGENT, AGENT, 2_700), "A window")], &[]);
}

#[test]
fn a_mark_that_names_what_nobody_told_of_ends_the_one_before() {
    let scene = Scene::new()
        .span("A", (1_000, 2_000), AGENT, AGENT)
        .mark(1_000, AGENT, AGENT, Some("A"))
        .mark(2_000, AGENT, AGENT, Some("unheard-of"))
        .mark(3_000, AGENT, AGENT, None);
    let expected =
        [((AGENT, AGENT, 1_500), "A thread"), ((AGENT, AGENT, 2_500), "?"), ((AGENT, AGENT, 3_500), "agent")];
    check(scene, &expected, &["mark-contradiction"]);
}

#[test]
fn what_was_received_had_happened_whatever_the_clock_says() {
    let received = |start: u64, end: u64| {
        Scene::new().span("A", (1_000, 3_000), AGENT, 0).that(|span| {
            (span.start_err_ns, span.end_err_ns) = (500, 500);
            (span.received_boot_ns, span.end_received_boot_ns) = (Some(start), Some(end));
        })
    };
    let at = |boot_ns| (AGENT, AGENT, boot_ns);
    let bounded =
        [(at(900), "?"), (at(1_000), "A window"), (at(2_600), "?"), (at(2_801), "agent"), (at(3_200), "agent")];
    check(received(1_000, 2_800), &bounded, &[]);
    // Long after says no more than the clock does.
    let told = [(at(1_400), "?"), (at(1_500), "A window"), (at(2_499), "A window"), (at(3_400), "?")];
    check(received(5_000, 6_000), &told, &[]);
    // Before it may have begun: the clock is another one, and it began and ended before that had been received.
    check(
        received(150, 200),
        &[(at(120), "?"), (at(200), "?"), (at(201), "agent"), (at(1_500), "agent")],
        &["clock-ahead"],
    );
    // A hook speaks before its call begins.
    let hook = received(1_000, 2_800).that(|span| span.source = argus_schemas::span_log::HOOK.to_owned());
    check(hook, &[(at(600), "A window"), (at(3_400), "A window")], &[]);
}

#[test]
fn of_a_clock_that_is_ahead_no_instant_is_believed() {
    // As in a time namespace: a clock 1,000 ahead puts the marks and windows of one call where the next one was. A program
    // that was handed the context of an open call is that call's.
    let sent = |start: u64, end: u64| {
        move |span: &mut Span| (span.received_boot_ns, span.end_received_boot_ns) = (Some(start), Some(end))
    };
    let scene = Scene::new()
        .span("A", (2_000, 2_900), AGENT, AGENT)
        .that(sent(1_001, 1_901))
        .mark(2_000, AGENT, AGENT, Some("A"))
        .mark(2_900, AGENT, AGENT, None)
        .span("B", (3_000, 3_900), AGENT, AGENT)
        .that(sent(2_001, 2_901))
        .mark(3_000, AGENT, AGENT, Some("B"))
        .mark(3_900, AGENT, AGENT, None)
        .fork(2_500, AGENT, AGENT, 250)
        .exec(2_550, 250, Some("B"));
    let at = |boot_ns| (AGENT, AGENT, boot_ns);
    let expected = [(at(1_500), "A|B"), (at(2_500), "?"), (at(3_500), "agent"), ((250, 250, 9_000), "B carrier")];
    check(scene, &expected, &["clock-ahead"]);
}

#[test]
fn one_call_with_an_impossible_instant_costs_no_other() {
    let sent = |start: u64, end: u64| {
        move |span: &mut Span| (span.received_boot_ns, span.end_received_boot_ns) = (Some(start), Some(end))
    };
    let scene = Scene::new()
        .span("A", (1_000, 1_500), AGENT, AGENT)
        .that(sent(1_001, 1_501))
        .span("B", (2_000, 2_500), AGENT, AGENT)
        .that(sent(2_001, 2_501))
        .span("liar", (9_000, 9_100), AGENT, AGENT)
        .that(sent(2_701, 2_801))
        .span("C", (3_000, 3_500), AGENT, AGENT)
        .that(sent(3_001, 3_501));
    let at = |boot_ns| (AGENT, AGENT, boot_ns);
    let expected = [(at(2_600), "?"), (at(3_200), "C window"), (at(3_600), "agent"), (at(9_050), "agent")];
    check(scene, &expected, &["clock-ahead"]);
}

#[test]
fn a_call_on_a_thread_that_cannot_be_told_is_no_other_threads_either() {
    // Within a pid namespace the agent names threads by ids that the record lacks: B runs on another thread of the pool than
    // the one that still works for A.
    let mut scene = Scene::new()
        .thread(200, AGENT, AGENT, 11)
        .thread(210, AGENT, AGENT, 12)
        .span("A", (1_000, 2_000), AGENT, 1_002)
        .span("B", (3_000, 4_000), AGENT, 1_003);
    scene.rows.iter_mut().for_each(|row| row.ns_pid = Some(1_001));
    let known = Scene {
        rows: scene
            .rows
            .iter()
            .map(|row| Row { child_ns_tid: row.child_tid.map(|tid| tid + 991), ..row.clone() })
            .collect(),
        spans: scene.spans.clone(),
        ..Scene::new()
    };
    check(scene, &[((AGENT, 11, 3_500), "?"), ((AGENT, 12, 3_500), "?"), ((AGENT, 12, 2_500), "agent")], &[]);
    // Where the record of their creation tells those ids as well.
    let expected = [((AGENT, 11, 1_500), "A window"), ((AGENT, 11, 3_500), "?"), ((AGENT, 12, 3_500), "B window")];
    check(known, &expected, &[]);
}

#[test]
fn a_call_that_no_hook_saw_run_is_nowhere_certain() {
    let hook = |span: &mut Span| span.source = argus_schemas::span_log::HOOK.to_owned();
    let at = |boot_ns| (AGENT, AGENT, boot_ns);
    // Somewhere between both hooks, told by the agent's next prompt; then a call that ran.
    let refused = || {
        Scene::new().span("A", (2_000, 2_000), AGENT, 0).that(hook).that(|span| {
            (span.start_err_ns, span.end_err_ns) = (1_000, 1_000);
            span.status = Some(argus_schemas::span_log::ABANDONED.to_owned());
        })
    };
    let scene = refused().span("B", (4_000, 5_000), AGENT, 0).that(hook).fork(4_500, AGENT, AGENT, 450);
    let told = [(at(1_000), "?"), (at(2_500), "?"), (at(3_500), "agent"), (at(4_500), "B window")];
    check(scene, &[&told[..], &[((450, 450, 9_000), "B lineage")]].concat(), &[]);
    // One beside it may be meant as well.
    let scene = refused().span("B", (2_000, 2_600), AGENT, 0).that(hook);
    check(scene, &[(at(1_500), "?"), (at(2_300), "A|B"), (at(2_700), "?")], &[]);
    // No end was told at all.
    check(Scene::new().span("A", (2_000, 0), AGENT, 0).that(hook), &[(at(2_000), "?"), (at(9_000), "?")], &[]);
    // The run of a sub-agent changes nothing: what it does itself is the runtime's.
    let run = refused().that(|span| span.kind = "agent".to_owned());
    check(run, &[(at(1_500), "agent"), (at(9_000), "agent")], &[]);
}

#[test]
fn a_call_without_end_is_open_until_its_end_may_have_been_missed() {
    let at = |boot_ns| (AGENT, AGENT, boot_ns);
    let open = || Scene::new().span("A", (2_000, 0), AGENT, 0);
    let check_from = |scene: Scene, from: Option<u64>| {
        let later = if from.is_some() { "?" } else { "A window" };
        check(scene, &[(at(2_001), "A window"), (at(9_000), later)], &[]);
    };
    let unread = |author: Option<i32>, boot_ns: u64| {
        let mut scene = open();
        scene.unread.push((author, boot_ns));
        scene
    };
    check_from(open(), None);
    check_from(unread(Some(AGENT), 5_000), Some(5_000));
    check_from(unread(None, 5_000), Some(5_000));
    // Said before it began, or by somebody who told nothing of it.
    check_from(unread(Some(AGENT), 1_000), None);
    check_from(unread(Some(99), 5_000), None);
    let mut lost = open();
    lost.manifest.losses.push(Loss {
        cause: "span_socket".to_owned(),
        count: 1,
        cpu: None,
        kinds: Vec::new(),
        from_boot_ns: 3_000,
        to_boot_ns: 4_000,
    });
    check_from(lost, Some(3_000));
    // One whose log was added afterwards, and may have been cut off.
    let imported = open().that(|span| span.source = "claude-code".to_owned());
    check(imported, &[(at(2_001), "?"), (at(9_000), "?")], &[]);
}

#[test]
fn an_agents_run_is_the_runtime_until_a_call_encloses_it() {
    let agent = |span: &mut Span| span.kind = "agent".to_owned();
    let scene = Scene::new()
        .span("R", (1_000, 9_000), AGENT, AGENT)
        .that(agent)
        .span("A", (2_000, 8_000), AGENT, AGENT)
        .inside("R")
        .span("S", (3_000, 7_000), AGENT, AGENT)
        .inside("A")
        .that(agent);
    let expected =
        [((AGENT, AGENT, 1_500), "agent R"), ((AGENT, AGENT, 2_500), "A window"), ((AGENT, AGENT, 3_500), "S window")];
    check(scene, &expected, &[]);
}

#[test]
fn an_agent_that_was_attached_to_and_starts_a_thread_is_no_recorder() {
    let mut scene = Scene::new();
    scene.rows.clear();
    let scene = scene
        .row(900, AGENT, AGENT, Row { kind: Some(Kind::Existing), ..Row::default() })
        .thread(950, AGENT, AGENT, 11)
        .span("A", (1_000, 3_000), AGENT, 0)
        .fork(1_500, AGENT, AGENT, 150);
    let expected =
        [((AGENT, AGENT, 920), "agent"), ((AGENT, AGENT, 2_000), "A window"), ((150, 150, 9_000), "A lineage")];
    check(scene, &expected, &[]);
}

#[test]
fn a_call_beside_an_agents_run_is_told_apart_from_it() {
    // Two sub-agents at once, of which one calls a tool; nothing tells which.
    let agent = |span: &mut Span| span.kind = "agent".to_owned();
    let scene = Scene::new()
        .span("R", (1_000, 9_000), AGENT, 0)
        .that(agent)
        .span("S", (1_500, 9_000), AGENT, 0)
        .that(agent)
        .span("A", (3_000, 4_000), AGENT, 0)
        .fork(3_500, AGENT, AGENT, 350);
    let expected = [
        ((AGENT, AGENT, 1_200), "agent R"),
        ((AGENT, AGENT, 2_000), "agent"),
        ((AGENT, AGENT, 3_500), "A window"),
        ((350, 350, 9_500), "A lineage"),
        ((AGENT, AGENT, 9_500), "agent"),
    ];
    check(scene, &expected, &[]);
}

#[test]
fn an_uncertain_clock_widens_and_never_shifts_blame() {
    let scene = Scene::new().span("A", (1_000, 3_000), AGENT, 0).that(|span| {
        span.start_err_ns = 200;
        span.end_err_ns = 500;
    });
    let expected = [
        ((AGENT, AGENT, 700), "agent"),
        ((AGENT, AGENT, 900), "?"),
        ((AGENT, AGENT, 1_200), "A window"),
        ((AGENT, AGENT, 2_600), "?"),
        ((AGENT, AGENT, 3_501), "agent"),
    ];
    check(scene, &expected, &[]);
}

#[test]
fn a_carrier_counts_from_whoever_could_hand_it_out() {
    // Two calls without threads of their own: only the carrier tells whose the program is.
    let overlapping = || {
        Scene::new()
            .span("A", (1_000, 3_000), AGENT, 0)
            .span("B", (1_000, 3_000), AGENT, 0)
            .fork(1_500, AGENT, AGENT, 150)
    };
    check(
        overlapping().exec(1_600, 150, Some("B")),
        &[((150, 150, 1_550), "A|B"), ((150, 150, 1_600), "B carrier")],
        &[],
    );
    check(overlapping().exec(1_600, 150, Some("unheard-of")), &[((150, 150, 1_700), "A|B")], &[]);

    // From a process of either call it may be the other's forgery.
    let passed_on = overlapping().fork(1_700, 150, 150, 170).exec(1_800, 170, Some("B"));
    check(passed_on, &[((170, 170, 1_900), "A|B")], &[]);

    // The agent hands out a call that has ended.
    let late =
        Scene::new().span("A", (1_000, 2_000), AGENT, AGENT).fork(2_500, AGENT, AGENT, 250).exec(2_600, 250, Some("A"));
    check(late, &[((250, 250, 2_700), "agent")], &["carrier-contradiction"]);

    // A process of one call names another: the lineage wins, once, however many programs inherit the variable.
    let forged = Scene::new()
        .span("A", (1_000, 3_000), AGENT, AGENT)
        .that(|span| span.tid = Some(AGENT))
        .mark(1_000, AGENT, AGENT, Some("A"))
        .span("B", (1_000, 3_000), AGENT, 0)
        .fork(1_500, AGENT, AGENT, 150)
        .exec(1_600, 150, Some("B"))
        .fork(1_700, 150, 150, 170)
        .exec(1_800, 170, Some("B"));
    let expected = [((150, 150, 1_650), "A lineage"), ((170, 170, 1_900), "A lineage")];
    check(forged, &expected, &["carrier-contradiction"]);

    // From the outer call to the inner one, and not back.
    let nested = Scene::new()
        .span("A", (1_000, 3_000), AGENT, AGENT)
        .mark(1_000, AGENT, AGENT, Some("A"))
        .span("B", (1_100, 3_000), AGENT, 0)
        .inside("A")
        .fork(1_500, AGENT, AGENT, 150)
        .exec(1_600, 150, Some("B"))
        .exec(1_700, 150, Some("A"));
    let expected =
        [((150, 150, 1_550), "A lineage"), ((150, 150, 1_650), "B carrier"), ((150, 150, 1_750), "B carrier")];
    check(nested, &expected, &[]);
}

#[test]
fn a_tools_process_speaks_only_beneath_its_own_call() {
    let beneath = Scene::new()
        .span("A", (1_000, 5_000), AGENT, AGENT)
        .fork(1_500, AGENT, AGENT, 150)
        .span("S", (2_000, 3_000), 150, 150)
        .inside("A");
    check(
        beneath,
        &[((150, 150, 1_700), "A lineage"), ((150, 150, 2_500), "S window"), ((150, 150, 3_500), "A lineage")],
        &[],
    );

    let forged = Scene::new()
        .span("A", (1_000, 5_000), AGENT, AGENT)
        .span("B", (1_000, 5_000), AGENT, 11)
        .thread(200, AGENT, AGENT, 11)
        .fork(1_500, AGENT, AGENT, 150)
        .span("F", (2_000, 3_000), 150, 150)
        .inside("B")
        .mark(2_100, 150, AGENT, Some("B"))
        .mark(2_200, 150, 150, Some("B"));
    let expected = [((150, 150, 2_500), "A lineage"), ((AGENT, AGENT, 2_500), "A window")];
    check(forged, &expected, &["mark-contradiction", "forged-span", "mark-contradiction"]);
}

#[test]
fn what_hangs_beneath_a_gap_is_nobodys() {
    let scene = Scene::new()
        .span("A", (1_000, 5_000), AGENT, AGENT)
        .seen(2_000, 200, 200)
        .fork(2_100, 200, 200, 210)
        .span("F", (2_200, 3_000), 200, 200)
        .seen(2_500, AGENT, 13);
    let expected =
        [((200, 200, 2_050), "?"), ((210, 210, 2_500), "?"), ((200, 200, 2_500), "?"), ((AGENT, 13, 2_500), "?")];
    check(scene, &expected, &["lost-fork", "forged-span"]);
}

#[test]
fn marks_after_a_loss_are_needed_anew() {
    let mut scene = Scene::new()
        .span("A", (1_000, 5_000), AGENT, AGENT)
        .span("B", (1_000, 5_000), AGENT, AGENT)
        .mark(1_000, AGENT, AGENT, Some("A"))
        .mark(3_000, AGENT, AGENT, Some("B"));
    scene.manifest.losses.push(Loss {
        kinds: Vec::new(),
        cause: "span_socket".to_owned(),
        count: 3,
        cpu: None,
        from_boot_ns: 2_000,
        to_boot_ns: 2_500,
    });
    let expected =
        [((AGENT, AGENT, 1_500), "A thread"), ((AGENT, AGENT, 2_200), "A|B"), ((AGENT, AGENT, 3_000), "B thread")];
    check(scene, &expected, &[]);
}

#[test]
fn an_exec_from_another_thread_is_that_threads() {
    let scene = Scene::new()
        .thread(150, AGENT, AGENT, 11)
        .span("A", (1_000, 5_000), AGENT, AGENT)
        .span("B", (1_000, 5_000), AGENT, 11)
        .exit(1_990, AGENT, AGENT, false)
        .exec(2_000, AGENT, None);
    let expected =
        [((AGENT, AGENT, 1_500), "A window"), ((AGENT, 11, 1_500), "B window"), ((AGENT, AGENT, 2_000), "B lineage")];
    check(scene, &expected, &[]);
}

#[test]
fn a_pools_thread_may_serve_any_call_of_its_life() {
    let scene = Scene::new().span("A", (1_000, 2_000), AGENT, AGENT).thread(1_500, AGENT, AGENT, 11).span(
        "B",
        (3_000, 4_000),
        AGENT,
        AGENT,
    );
    let expected = [
        ((AGENT, 11, 1_600), "A lineage"),
        ((AGENT, 11, 2_500), "A lineage"),
        ((AGENT, 11, 3_500), "A|B"),
        ((AGENT, 11, 4_500), "A|B"),
    ];
    check(scene, &expected, &[]);

    // It goes on beside a call of which nobody knows the thread; while that is the only call, its own threads are its.
    let without_threads = Scene::new()
        .span("A", (1_000, 2_000), AGENT, 0)
        .thread(1_500, AGENT, AGENT, 11)
        .span("B", (3_000, 4_000), AGENT, 0)
        .thread(3_200, AGENT, AGENT, 12);
    let expected = [
        ((AGENT, 11, 1_600), "A lineage"),
        ((AGENT, 11, 3_500), "A|B"),
        ((AGENT, AGENT, 3_500), "B window"),
        ((AGENT, 12, 3_500), "B lineage"),
        ((AGENT, 11, 4_500), "A|B"),
    ];
    check(without_threads, &expected, &[]);

    // What one of two calls created may serve a third; what a call created before it made another one may be of both.
    let several = Scene::new()
        .span("A", (1_000, 2_000), AGENT, 0)
        .span("B", (1_000, 2_000), AGENT, 0)
        .thread(1_500, AGENT, AGENT, 11)
        .span("C", (3_000, 4_000), AGENT, 0);
    check(several, &[((AGENT, 11, 1_600), "A|B"), ((AGENT, 11, 3_500), "A|B|C")], &[]);
    let nested = Scene::new()
        .span("O", (500, 5_000), AGENT, AGENT)
        .span("A", (1_000, 4_000), AGENT, AGENT)
        .inside("O")
        .thread(1_500, AGENT, AGENT, 11)
        .span("B", (2_000, 3_000), AGENT, AGENT)
        .inside("A");
    let expected =
        [((AGENT, 11, 1_600), "A lineage"), ((AGENT, 11, 2_500), "A|B"), ((AGENT, AGENT, 2_500), "B window")];
    check(nested, &expected, &[]);
}

#[test]
fn a_thread_that_was_only_started_within_a_call_has_it_by_lineage() {
    let scene = Scene::new()
        .span("A", (1_000, 2_000), AGENT, AGENT)
        .mark(1_000, AGENT, AGENT, Some("A"))
        .thread(1_500, AGENT, AGENT, 11)
        .mark(1_501, AGENT, 11, Some("A"))
        .how("inherited")
        .mark(2_000, AGENT, AGENT, None)
        .span("B", (3_000, 4_000), AGENT, AGENT)
        .mark(3_000, AGENT, AGENT, Some("B"))
        .mark(3_500, AGENT, 11, None)
        .how("unsure")
        .mark(3_800, AGENT, 11, Some("B"))
        .mark(4_000, AGENT, AGENT, None)
        .mark(4_001, AGENT, 11, None)
        .how("a word of tomorrow");
    let expected = [
        ((AGENT, 11, 1_600), "A lineage"),
        ((AGENT, 11, 3_200), "A lineage"),
        ((AGENT, 11, 3_600), "A|B"),
        ((AGENT, 11, 3_900), "B thread"),
        ((AGENT, 11, 4_100), "A|B"),
        ((AGENT, AGENT, 3_600), "B thread"),
        ((AGENT, AGENT, 4_100), "agent"),
    ];
    check(scene, &expected, &[]);
}

#[test]
fn spans_that_fit_no_process_are_told_and_own_nothing() {
    let scene = Scene::new()
        .span("A", (1_000, 2_000), 77, 77)
        .span("B", (1_000, 2_000), AGENT, AGENT)
        .that(|span| span.pid = Some(55))
        .span("B", (1_000, 2_000), AGENT, AGENT);
    let rules = ["span-without-process", "span-pid-contradiction", "duplicate-span"];
    check(scene, &[((AGENT, AGENT, 1_500), "B window")], &rules);
}

/// Runs something for every seed, on all processors. Not on rayon's threads: one that waits there for a query takes up the next
/// seed meanwhile, and so on until its stack is full.
fn for_each_seed(seeds: std::ops::Range<u64>, run: impl Fn(u64) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    std::thread::scope(|scope| {
        for first in 0..threads {
            let (seeds, run) = (seeds.clone(), &run);
            scope.spawn(move || seeds.filter(|seed| seed % threads == first).for_each(run));
        }
    });
}

/// A small generator of random numbers: the same seed gives the same run everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
