//! The basis `argument`: what it settles, and what it leaves open.

use super::*;
use crate::attribute::handoffs::Feeds;
use crate::attribute::objects::{self, Known};
use crate::names;
use std::collections::BTreeMap;

impl Scene {
    /// The arguments of the last span.
    pub(super) fn told(self, args: &str) -> Scene {
        let args = args.replace('\'', "\"");
        self.that(|span| span.args = Some(args))
    }

    /// A program in /w, with its command line in words parted by blanks; `_` is a blank within one.
    pub(super) fn runs(self, at: u64, pid: i32, line: &str) -> Scene {
        let argv = line.split(' ').map(|word| word.replace('_', " ")).collect();
        let cwd = Some("/w".to_owned());
        self.row(at, pid, pid, Row { kind: Some(Kind::Exec), ret: Some(0), argv, cwd, ..Row::default() })
    }

    /// Two calls at once, on threads that nobody names, with these arguments.
    fn two(one: &str, other: &str) -> Scene {
        let window = (1_000, 3_000);
        Scene::new()
            .runs(120, AGENT, "agent")
            .span("A", window, AGENT, 0)
            .told(one)
            .span("B", window, AGENT, 0)
            .told(other)
    }
}

/// Whose a program is that the agent starts while both calls are open.
#[track_caller]
fn check_program(one: &str, other: &str, line: &str, expected: &str) {
    let scene = Scene::two(one, other)
        .fork(1_500, AGENT, AGENT, 150)
        .runs(1_600, 150, line)
        .fork(1_700, 150, 150, 170)
        .runs(1_800, 170, "touch /w/elsewhere");
    let below = expected.replace("argument", "lineage");
    check(scene, &[((150, 150, 1_500), expected), ((150, 150, 9_000), expected), ((170, 170, 9_000), &below)], &[]);
}

#[test]
fn a_program_is_the_only_calls_that_names_it() {
    let (one, other) = ("{'command':'touch /w/a && rm b/c'}", "{'command':'touch /w/b'}");
    for (line, expected) in [
        // What a shell is told to run, however it is wrapped.
        ("/bin/sh -c touch_/w/a_&&_rm_b/c", "A argument"),
        ("bash -lc touch_/w/b", "B argument"),
        ("env X=1 bash -c source_/w/s_&&_eval_'touch_/w/b'_<_/dev/null", "B argument"),
        // A command line, its program by name.
        ("/usr/bin/touch /w/b", "B argument"),
        // A path in it, relative to where it runs.
        ("cat a", "A argument"),
        ("cat --number /w/b/c", "A argument"),
        ("cat --file=/w/b/../b", "B argument"),
        ("cat /w/a /w/b", "A|B"),
        ("cat /w/d", "A|B"),
        // A program is not named by what runs it.
        ("touch /w/d", "A|B"),
        ("sh -c touch_/w/d", "A|B"),
    ] {
        check_program(one, other, line, expected);
    }
    for (one, other, line, expected) in [
        ("{'cmd':['git','status']}", "{}", "git status", "A argument"),
        ("{'command':['bash','-lc','make -j']}", "{'command':'make'}", "bash -lc make_-j", "A argument"),
        ("{'path':'notes'}", "{}", "cat notes", "A|B"),
        ("{'path':'notes.md'}", "{}", "cat notes.md", "A argument"),
        ("{'path':'~/x'}", "{'path':'y'}", "wc /root/x", "A argument"),
        ("{'url':'http://h.test:80/a'}", "{'url':'http://h.test/b'}", "curl http://h.test/c", "A|B"),
        ("{'url':'http://h.test/a'}", "{'url':'http://i.test/b'}", "curl http://i.test/c", "B argument"),
        // Said twice, it is said of nobody.
        ("{'command':'make'}", "{'command':'make'}", "sh -c make", "A|B"),
        ("{'command':'cat x/y'}", "{'file':'/w/x/y'}", "cat x/y", "A|B"),
        // The text for a shell is the more exact name.
        ("{'command':'cat x/y'}", "{'file':'/w/x/y'}", "sh -c cat_x/y", "A argument"),
        // Content is no instruction, a place no object, and what everybody touches no evidence.
        ("{'content':'see /w/x/y'}", "{}", "cat /w/x/y", "A|B"),
        ("{'cwd':'/w/x'}", "{}", "git -C /w/x status", "A|B"),
        ("{'cwd':'/w/x','path':'y'}", "{}", "cat /w/x/y", "A argument"),
        ("{'command':'ls /w /tmp'}", "{}", "du /w /tmp", "A|B"),
        ("{'command':'x >/dev/null </etc/passwd'}", "{}", "tee /dev/null /etc/passwd", "A|B"),
    ] {
        check_program(one, other, line, expected);
    }
}

/// An agent that became another program shortly before: with a coarse clock, its calls may seem to be of the one before.
#[test]
fn a_call_of_uncertain_beginning_may_be_of_either_program() {
    for (error, other) in [(0, "A|B"), (400, "A|B"), (3_000, "A|B")] {
        let scene = Scene::new()
            .runs(120, AGENT, "launcher")
            .runs(900, AGENT, "agent")
            .span("A", (1_000, 3_000), AGENT, 0)
            .told("{'command':'touch /w/a'}")
            .that(|span| span.start_err_ns = error)
            .span("B", (1_000, 3_000), AGENT, 0)
            .told("{'command':'touch /w/b && cat /w/shared'}")
            .that(|span| span.start_err_ns = error)
            .fork(1_500, AGENT, AGENT, 150)
            .runs(1_600, 150, "sh -c touch_/w/a")
            .fork(1_700, AGENT, AGENT, 170)
            .runs(1_800, 170, "sed -n /w/other");
        check(scene, &[((150, 150, 1_650), "A argument"), ((170, 170, 1_850), other)], &[]);
    }
}

#[test]
fn it_is_weaker_than_what_the_kernel_and_the_marks_say() {
    let (one, other) = ("{'command':'touch /w/a'}", "{'command':'touch /w/b'}");
    let marked = Scene::two(one, other).mark(1_000, AGENT, AGENT, Some("B")).fork(1_500, AGENT, AGENT, 150).runs(
        1_600,
        150,
        "touch /w/a",
    );
    check(marked, &[((150, 150, 1_700), "B lineage")], &[]);

    // A process of a call that starts what another was told.
    let below = Scene::two(one, other)
        .fork(1_500, AGENT, AGENT, 150)
        .runs(1_600, 150, "sh -c touch_/w/b")
        .fork(1_700, 150, 150, 170)
        .runs(1_800, 170, "touch /w/a");
    check(below, &[((170, 170, 1_900), "B lineage")], &[]);

    let mut carried = Scene::two(one, other).fork(1_500, AGENT, AGENT, 150).runs(1_600, 150, "touch /w/a");
    carried.rows.last_mut().expect("an exec").traceparent = Some(format!("00-{}-{}-01", "f".repeat(32), id("B")));
    check(carried, &[((150, 150, 1_550), "A|B"), ((150, 150, 1_600), "B carrier")], &[]);

    // The name decides first; what that program then hands to the next one is its own word, and no more the agent's.
    let after = Scene::two(one, other).fork(1_500, AGENT, AGENT, 150).runs(1_600, 150, "touch /w/a").exec(
        1_700,
        150,
        Some("B"),
    );
    check(after, &[((150, 150, 1_650), "A argument"), ((150, 150, 1_700), "A argument")], &["carrier-contradiction"]);
}

#[test]
fn a_trace_context_that_was_only_handed_on_does_not_decide_instead() {
    let run = |agents_own: bool| {
        let mut scene = Scene::new().span("R", (100, 9_000), AGENT, 0).that(|span| span.kind = "agent".to_owned());
        let context = Some(format!("00-{}-{}-01", "f".repeat(32), id("R")));
        scene = scene.runs(120, AGENT, "agent");
        scene.rows.last_mut().expect("it was just added").traceparent = context.clone().filter(|_| agents_own);
        for (name, args) in [("A", "{'command':'touch /w/a'}"), ("B", "{'command':'touch /w/b'}")] {
            scene = scene.span(name, (1_000, 3_000), AGENT, 0).told(args).inside("R");
        }
        scene = scene.fork(1_500, AGENT, AGENT, 150).runs(1_600, 150, "touch /w/a");
        scene.rows.last_mut().expect("it was just added").traceparent = context;
        scene
    };
    check(run(true), &[((150, 150, 9_000), "A argument")], &[]);
    check(run(false), &[((150, 150, 9_000), "agent R")], &[]);
}

#[test]
fn it_decides_where_the_clock_is_too_coarse() {
    let coarse = |span: &mut Span| (span.start_err_ns, span.end_err_ns) = (500, 500);
    let window = (1_500, 1_500);
    let scene = Scene::new()
        .runs(120, AGENT, "agent")
        .span("A", window, AGENT, 0)
        .told("{'command':'touch /w/a'}")
        .that(coarse)
        .fork(1_100, AGENT, AGENT, 110)
        .runs(1_110, 110, "sh -c touch_/w/a")
        .fork(1_200, AGENT, AGENT, 120)
        .runs(1_210, 120, "git status")
        // Before it can have begun, its command is the agent's own.
        .fork(900, AGENT, AGENT, 90)
        .runs(1_050, 90, "sh -c touch_/w/a");
    let expected = [
        ((AGENT, AGENT, 1_300), "?"),
        ((110, 110, 1_105), "A argument"),
        ((120, 120, 1_300), "?"),
        ((90, 90, 1_300), "agent"),
    ];
    check(scene, &expected, &[]);

    // It is not certain that the inner call is open, and so the outer may have done it.
    let nested = |outer: &str, inner: &str| {
        Scene::new()
            .runs(120, AGENT, "agent")
            .span("A", (1_000, 3_000), AGENT, 0)
            .told(outer)
            .span("B", window, AGENT, 0)
            .told(inner)
            .inside("A")
            .that(coarse)
            .fork(1_200, AGENT, AGENT, 120)
            .runs(1_300, 120, "cat d/x")
    };
    for (outer, inner, expected) in [
        ("{'path':'d/x'}", "{}", "A argument"),
        ("{}", "{'path':'d/x'}", "B argument"),
        ("{'path':'d/x'}", "{'path':'d/x'}", "?"),
        ("{}", "{}", "?"),
    ] {
        check(nested(outer, inner), &[((120, 120, 1_400), expected)], &[]);
    }
}

#[test]
fn it_follows_forks_until_a_program_is_executed() {
    let scene = Scene::two("{'command':'serve /w/a'}", "{}")
        .fork(1_500, AGENT, AGENT, 150)
        .fork(1_510, 150, 150, 151)
        .exit(1_520, 150, 150, true)
        .runs(1_600, 151, "serve /w/a");
    check(scene, &[((150, 150, 1_505), "A|B"), ((151, 151, 9_000), "A argument")], &[]);

    // A shell that nobody named may be fed by any call, later ones too.
    let fed = Scene::two("{'command':'cat d/a'}", "{}")
        .fork(1_500, AGENT, AGENT, 150)
        .runs(1_510, 150, "sh")
        .fork(1_600, 150, 150, 160)
        .runs(1_610, 160, "cat d/a");
    check(fed, &[((160, 160, 1_700), "A|B")], &[]);

    // One that waited before it executed may do so for a call that began since.
    let waited = Scene::two("{'command':'cat d/a'}", "{}")
        .span("C", (4_000, 5_000), AGENT, 0)
        .told("{'command':'cat d/a'}")
        .fork(1_500, AGENT, AGENT, 150)
        .runs(4_500, 150, "cat d/a");
    check(waited, &[((150, 150, 4_600), "A|B")], &[]);
}

/// One event of the agent's own thread, for the table of events.
#[derive(Clone, Default)]
struct Touch {
    at: u64,
    last: Option<u64>,
    path: Option<String>,
    path2: Option<String>,
    peer: Option<(&'static str, u16)>,
    name: Option<&'static str>,
    process: i32,
}

impl Touch {
    fn path(at: u64, path: &str) -> Touch {
        Touch { at, path: Some(path.to_owned()), process: AGENT, ..Touch::default() }
    }
}

/// The events as a table, and their peers' names as answered.
fn frames(touches: &[Touch]) -> (LazyFrame, DataFrame) {
    fn column<T>(touches: &[Touch], of: impl Fn(&Touch) -> T) -> Vec<T> {
        touches.iter().map(of).collect()
    }
    let ids: Vec<u64> = (0..touches.len() as u64).collect();
    let no_list = Series::new("".into(), Vec::<String>::new());
    let frame = df!(
        "event_id" => ids.clone(),
        "boot_ns" => column(touches, |touch| touch.at),
        "last_ns" => column(touches, |touch| touch.last),
        "pid" => column(touches, |touch| touch.process),
        "start_ns" => column(touches, |touch| key(touch.process).start_ns),
        "tid" => column(touches, |touch| touch.process),
        "missing" => vec![no_list; touches.len()],
        "path" => column(touches, |touch| touch.path.clone()),
        "path2" => column(touches, |touch| touch.path2.clone()),
        "remote_addr" => column(touches, |touch| touch.peer.map(|peer| peer.0)),
        "remote_port" => column(touches, |touch| touch.peer.map(|peer| peer.1)),
        "host" => vec![None::<&str>; touches.len()],
    );
    let named: Vec<_> =
        ids.iter().zip(touches).filter_map(|(id, touch)| Some((*id, format!("d {}", touch.name?)))).collect();
    let (ids, texts): (Vec<u64>, Vec<String>) = named.into_iter().unzip();
    let peers = df!("event_id" => ids, names::COLUMN => texts).expect("columns of one length");
    (frame.expect("columns of one length").lazy(), peers)
}

/// Whose each event is, by the join of all tables.
fn owners_of(scene: &mut Scene, touches: &[Touch]) -> Vec<String> {
    let (forest, ledger, claims, _) = scene.attribute();
    let (events, peers) = frames(touches);
    let known = Known { forest: &forest, ledger: &ledger, feeds: &Feeds::default(), claims: &claims };
    let named = objects::named(&events, &peers, &known, &Arguments::default()).expect("the queries work");
    let mut single = join::lasting(&events, &ledger).expect("the query works");
    single.extend(named.iter().map(|(id, named)| (*id, named.ownership())));
    let verdicts = join::verdicts(&events, &ledger, &single, &claims).expect("the join works");
    let texts = |name: &str| verdicts.column(name).expect("a column").str().expect("text").clone();
    let (owner, basis, verdict) = (texts("owner"), texts("basis"), texts("verdict"));
    (0..touches.len())
        .map(|row| match (owner.get(row), basis.get(row)) {
            (Some(owner), Some(basis)) => format!("{} {basis}", owner.trim_start_matches('0')),
            _ => verdict.get(row).expect("never null").to_owned(),
        })
        .collect()
}

#[test]
fn an_event_is_the_only_calls_that_names_its_object() {
    let args = "{'path':'src/a.txt','to':'~/b','url':'https://api.test/x','db':'10.0.0.5:5432','sock':'/run/x/s'}";
    let mut scene = Scene::two(args, "{'path':'/w/src/b.txt','same':'/w/src/c','local':'localhost:80'}")
        .span("C", (2_000, 3_000), AGENT, 0)
        .told("{'same':'/w/src/c'}")
        .span("D", (5_000, 6_000), AGENT, 0)
        .told("{'path':'/w/src/b.txt'}");
    let peer = |address, port, name| Touch {
        at: 1_500,
        peer: Some((address, port)),
        name,
        process: AGENT,
        ..Touch::default()
    };
    let table = [
        (Touch::path(1_500, "/w/src/a.txt"), "A argument"),
        (Touch::path(1_500, "/w/src/b.txt"), "B argument"),
        (Touch::path(1_500, "/w/src/d.txt"), "ambiguous"),
        (Touch { path2: Some("/root/b".to_owned()), ..Touch::path(1_500, "/w/tmp") }, "A argument"),
        // Of both, each is named by another.
        (Touch { path2: Some("/w/src/b.txt".to_owned()), ..Touch::path(1_500, "/w/src/a.txt") }, "ambiguous"),
        // The second who names it is not open yet, and then is.
        (Touch::path(1_500, "/w/src/c"), "B argument"),
        (Touch::path(2_500, "/w/src/c"), "ambiguous"),
        (Touch { last: Some(2_500), ..Touch::path(1_500, "/w/src/c") }, "ambiguous"),
        (Touch { last: Some(2_500), ..Touch::path(1_500, "/w/src/a.txt") }, "A argument"),
        (Touch { last: Some(3_500), ..Touch::path(1_500, "/w/src/a.txt") }, "unknown"),
        // A window that is certain is not asked, whoever names it.
        (Touch::path(5_500, "/w/src/a.txt"), "D window"),
        (Touch::path(4_000, "/w/src/a.txt"), "runtime"),
        (peer("10.0.0.5", 5_432, None), "A argument"),
        (peer("::ffff:10.0.0.5", 5_432, None), "A argument"),
        (peer("10.0.0.5", 80, None), "ambiguous"),
        (peer("127.0.0.1", 80, None), "B argument"),
        (peer("203.0.113.9", 443, Some("api.test")), "A argument"),
        (peer("203.0.113.9", 443, Some("cdn.test")), "ambiguous"),
        (peer("203.0.113.9", 443, None), "ambiguous"),
        (peer("/run/x/s", 0, None), "A argument"),
    ];
    let (touches, expected): (Vec<Touch>, Vec<&str>) = table.into_iter().unzip();
    assert_eq!(owners_of(&mut scene, &touches), expected);
}

/// What a call of a random run did.
struct Act {
    touch: Touch,
    call: Option<String>,
    /// The only call that names what was touched, if there is but one in all the run.
    named: bool,
}

/// An agent of one thread whose calls overlap, as a transcript tells of them: no threads, instants that may be off. Calls
/// name the file that they work on, or share one with others, or name none; while a call has one within it, it waits.
fn random_transcript(seed: u64) -> (Scene, Vec<Act>) {
    let mut random = Random(seed);
    let mut scene = Scene::new().runs(120, AGENT, "agent");
    let mut open: Vec<usize> = Vec::new();
    let mut acts: Vec<Act> = Vec::new();
    let mut tellers: BTreeMap<String, u64> = BTreeMap::new();
    let mut files: Vec<String> = Vec::new();
    for step in 0..120u64 {
        let at = 1_000 + step * 10;
        let file = |call: usize, files: &[String]| files[call].clone();
        let busy = |scene: &Scene, call: usize| {
            let name = &scene.spans[call].span_id;
            open.iter().any(|other| scene.spans[*other].parent_id.as_ref() == Some(name))
        };
        let idle: Vec<usize> = open.iter().copied().filter(|call| !busy(&scene, *call)).collect();
        let any = |random: &mut Random| idle.get(random.below(idle.len().max(1) as u64) as usize).copied();
        match random.below(7) {
            0 | 1 if open.len() < 4 => {
                let outer = (random.below(4) == 0).then(|| any(&mut random)).flatten();
                let error = random.below(3) * random.below(40);
                let said = (at + random.below(error + 1) - random.below(error + 1)).max(1);
                scene = scene.span(&format!("s{step}"), (said, 0), AGENT, 0);
                scene.spans.last_mut().expect("just added").start_err_ns = error;
                if let Some(outer) = outer {
                    scene.spans.last_mut().expect("just added").parent_id = Some(scene.spans[outer].span_id.clone());
                }
                let path = if random.below(4) == 0 { "/t/shared/f".to_owned() } else { format!("/t/s{step}/f") };
                scene = match random.below(3) {
                    0 => scene,
                    1 => scene.told(&format!("{{'command':'touch {path}'}}")),
                    _ => scene.told(&format!("{{'path':'{path}'}}")),
                };
                if scene.spans.last().is_some_and(|span| span.args.is_some()) {
                    *tellers.entry(path.clone()).or_default() += 1;
                }
                files.push(path);
                open.push(scene.spans.len() - 1);
            }
            2 => {
                if let Some(call) = any(&mut random) {
                    let error = random.below(3) * random.below(40);
                    scene.spans[call].end_boot_ns = Some(at + random.below(error + 1) - random.below(error + 1));
                    scene.spans[call].end_err_ns = error;
                    open.retain(|other| *other != call);
                }
            }
            3 | 4 => {
                let pid = (at / 10) as i32;
                let call = any(&mut random);
                // What no call names: a file of its own, which another call may share but for those who were told.
                let path = call.map_or("/t/none/f".to_owned(), |call| file(call, &files));
                let told = call.is_some_and(|call| scene.spans[call].args.is_some());
                let path = if told || call.is_none() { path } else { format!("/t/untold{step}/f") };
                scene = scene.fork(at, AGENT, AGENT, pid);
                // The very text that a call was told to run is run for none that was not.
                let args = call.and_then(|call| scene.spans[call].args.clone()).unwrap_or_default();
                let verb = if args.contains("command") { "touch" } else { "open" };
                scene = match random.below(3) {
                    0 => scene.runs(at + 1, pid, &format!("sh -c {verb}_{path}")),
                    1 => scene.runs(at + 1, pid, &format!("touch {path}")),
                    _ => scene.runs(at + 1, pid, "git status"),
                };
                let call = call.map(|call| scene.spans[call].name.clone());
                acts.push(Act { touch: Touch { at: at + 2, process: pid, ..Touch::default() }, call, named: false });
            }
            _ => {
                let call = any(&mut random);
                let told = call.filter(|call| scene.spans[*call].args.is_some() && random.below(3) > 0);
                let path = told.map_or(format!("/t/untold{step}/f"), |call| file(call, &files));
                let call = call.map(|call| scene.spans[call].name.clone());
                acts.push(Act { touch: Touch::path(at + 5, &path), call, named: told.is_some() });
            }
        }
    }
    for act in &mut acts {
        act.named &= act.touch.path.as_ref().is_some_and(|path| tellers.get(path) == Some(&1));
    }
    (scene, acts)
}

#[test]
fn no_random_transcript_blames_the_wrong_call() {
    let (mut right, mut all, mut by_argument) = (0, 0, 0);
    for seed in 0..300 {
        let (mut scene, acts) = random_transcript(seed);
        let touches: Vec<Touch> = acts.iter().map(|act| act.touch.clone()).collect();
        let got = owners_of(&mut scene, &touches);
        for (act, got) in acts.iter().zip(got) {
            let at = act.touch.at;
            let blamed = got.split_once(' ').map(|(owner, _)| owner);
            all += 1;
            by_argument += u64::from(got.ends_with(" argument"));
            match (&act.call, blamed) {
                (Some(call), Some(blamed)) if call == blamed => right += 1,
                (None, None) if got == "runtime" => right += 1,
                (call, Some(blamed)) => panic!("seed {seed} at {at}: {blamed}, not {call:?}: {got}"),
                // What one call alone names is always found.
                (call, None) => assert!(!act.named, "seed {seed} at {at}: {got}, not {call:?}"),
            }
        }
    }
    assert!(by_argument * 3 > all && right * 5 > all * 2, "{right} of {all} are right, {by_argument} by argument");
}

/// What [`objects::named`] must give for paths, worked out one event at a time over every call.
#[test]
fn the_table_of_named_events_equals_the_naive_oracle() {
    for seed in 0..60 {
        let (mut scene, acts) = random_transcript(seed);
        let mut random = Random(seed);
        let mut touches: Vec<Touch> = acts.into_iter().map(|act| act.touch).collect();
        for touch in &mut touches {
            touch.last = (random.below(3) == 0).then(|| touch.at + random.below(100));
        }
        let (forest, ledger, claims, _) = scene.attribute();
        let (events, peers) = frames(&touches);
        let known = Known { forest: &forest, ledger: &ledger, feeds: &Feeds::default(), claims: &claims };
        let got = objects::named(&events, &peers, &known, &Arguments::default()).expect("the queries work");
        let got: BTreeMap<u64, usize> = got.into_iter().map(|(id, named)| (id, named.span)).collect();
        let mut expected = BTreeMap::new();
        for (id, touch) in touches.iter().enumerate() {
            let Some(path) = touch.path.as_ref().filter(|_| touch.process == AGENT) else { continue };
            let mut candidates = std::collections::BTreeSet::new();
            let mut open = true;
            for at in touch.at..=touch.last.unwrap_or(touch.at) {
                let owner = ledger.at(key(AGENT), AGENT, at).expect("an owner");
                open &= owner.contested().is_some();
                for at in [touch.at, touch.last.unwrap_or(touch.at)] {
                    candidates.extend(crate::attribute::arguments::candidates(owner, at, &claims).unwrap_or_default());
                }
            }
            let names =
                |span: &usize| claims.span(*span).args.as_ref().is_some_and(|args| args.contains(path.as_str()));
            let by: Vec<usize> = candidates.into_iter().filter(names).collect();
            if let ([only], true) = (by.as_slice(), open) {
                expected.insert(id as u64, *only);
            }
        }
        assert_eq!(got, expected, "seed {seed}");
    }
}
