//! The attribution battery: real programs, really recorded, whose paths say which call is behind each event.
//!
//! Wrong blame must be zero: an event given to a call that did not cause it is worse than one given to none.

use argus_schemas::report::{Effect, Report};
use argus_schemas::verdicts::{Basis, Verdict};
use argus_tests::truth::{Truth, truth_of};
use argus_tests::{
    Scratch, all_effects, can_capture, capture, files_beneath, one_at_a_time, report, run, shown, skip, workspace,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What no call causes lies beneath this name.
const NONE: &str = "none";

/// The two agents that each case is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    /// It uses the SDK: marks, carriers.
    Sdk,
    /// It only reports when its calls begin and end, and on which thread (tests/battery/plain.py).
    Plain,
}

/// How a case's events fared, one count for each time that the kernel did something.
#[derive(Debug, Default, PartialEq, Eq)]
struct Score {
    /// Given to the call that caused them; or to none, where none did.
    right: u64,
    /// Given to another call.
    wrong: u64,
    /// Given to several candidates.
    ambiguous: u64,
    /// Given to no call though one caused them.
    missing: u64,
    by_basis: BTreeMap<String, u64>,
    /// The rules of the report's findings.
    rules: BTreeSet<String>,
    /// A line for each effect that is not right.
    faults: Vec<String>,
}

fn score(report: &Report, root: &str, agent: Agent) -> Score {
    let rules = report.findings.iter().map(|finding| finding.rule.clone()).collect();
    let mut score = Score { rules, ..Score::default() };
    for call in &report.calls {
        for effect in &call.effects {
            let Some(truth) = truth_of(&effect.object, root) else { continue };
            // What the agent's own span owns belongs to no call.
            let owner = if call.kind == "agent" { NONE } else { &call.name };
            if owner != truth.tool {
                score.wrong += effect.count;
                score.faults.push(format!("wrong: {owner} is blamed for {}", describe(effect)));
                continue;
            }
            score.right += effect.count;
            let basis = effect.basis.map_or("none", Basis::as_str);
            *score.by_basis.entry(basis.to_owned()).or_default() += effect.count;
            if owner == NONE {
                continue;
            }
            if effect.late != truth.file.starts_with("late-") {
                score.faults.push(format!("late is {}: {}", effect.late, describe(effect)));
            }
            let expected: &[Basis] = match (agent, truth.file.starts_with("own-")) {
                (Agent::Sdk, true) => &[Basis::Thread],
                (Agent::Sdk, false) => &[Basis::Thread, Basis::Lineage, Basis::Carrier],
                (Agent::Plain, true) => &[Basis::Window],
                (Agent::Plain, false) => &[Basis::Window, Basis::Lineage],
            };
            if !effect.basis.is_some_and(|basis| expected.contains(&basis)) {
                score.faults.push(format!("rests on {basis}: {}", describe(effect)));
            }
        }
    }
    for group in &report.unowned {
        for effect in &group.effects {
            let Some(truth) = truth_of(&effect.object, root) else { continue };
            match group.verdict {
                Verdict::Ambiguous => score.ambiguous += effect.count,
                Verdict::Runtime if truth.tool == NONE => {
                    score.right += effect.count;
                    *score.by_basis.entry("runtime".to_owned()).or_default() += effect.count;
                    continue;
                }
                _ => score.missing += effect.count,
            }
            let (verdict, reason) = (group.verdict.as_str(), group.reason.as_deref().unwrap_or("no reason"));
            score.faults.push(format!("{verdict} {:?} ({reason}): {}", group.candidates, describe(effect)));
        }
    }
    score
}

fn describe(effect: &Effect) -> String {
    format!("{} {} x{} events {:?}", effect.facet.as_str(), effect.object, effect.count, effect.event_ids)
}

/// Every object of every effect, whoever owns it.
fn objects(report: &Report) -> BTreeSet<&str> {
    let both = all_effects(report).flat_map(|effect| [Some(effect.object.as_str()), effect.detail.as_deref()]);
    both.flatten().collect()
}

fn compiled_spawn(scratch: &Scratch) -> PathBuf {
    let program = scratch.join("spawn");
    let source = workspace().join("tests/battery/spawn.c");
    let output = run(Command::new("cc").args(["-O1", "-pthread", "-o"]).arg(&program).arg(source));
    assert!(output.status.success(), "{}", shown(&output));
    program
}

/// Records one case with either agent and scores it. `tools` are the names of its calls.
fn check(case: u32, tools: &[&str]) {
    check_with(case, tools, Agent::Sdk);
    check_with(case, tools, Agent::Plain);
}

/// Records one case and scores it; `None` if this machine cannot record. With the number of all events.
fn scored(case: u32, tools: &[&str], agent: Agent) -> Option<(Score, u64)> {
    let name = format!("attribution case {case}, {agent:?}");
    if let Err(why) = can_capture() {
        skip(&name, &why);
        return None;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("battery");
    let root = scratch.join("root");
    for tool in tools.iter().chain([&NONE]) {
        std::fs::create_dir_all(root.join("truth").join(tool).join(case.to_string())).expect("folders can be made");
    }
    let spawn = compiled_spawn(&scratch);
    let sdk = workspace().join("capture/sdk/python/src");
    let program = workspace().join(format!("tests/battery/case{case:02}.py"));
    let folder = scratch.join("case.argus");
    let text = |path: &Path| path.to_str().expect("the path is UTF-8").to_owned();
    let output = capture(
        &folder,
        &[],
        &[
            ("PYTHONPATH", &text(&sdk)),
            ("BATTERY_SPAWN", &text(&spawn)),
            ("BATTERY_AGENT", if agent == Agent::Plain { "plain" } else { "sdk" }),
        ],
        &["python3", "-B", &text(&program), &text(&root), &case.to_string()],
    );
    assert!(output.status.success(), "{name}: {}", shown(&output));

    let report = report(&folder);
    assert_eq!(report.case.lost, 0, "{name}: events were lost");
    let root = text(&root);
    let score = score(&report, &root, agent);
    let all = score.right + score.wrong + score.ambiguous + score.missing;
    println!(
        "{name:28} right {:4}  wrong {}  ambiguous {}  missing {}  of {all:4}, by {:?}",
        score.right, score.wrong, score.ambiguous, score.missing, score.by_basis
    );

    let seen = objects(&report);
    let made = files_beneath(&Path::new(&root).join("truth"));
    let unseen: Vec<_> = made.iter().filter(|path| !seen.contains(text(path).as_str())).collect();
    assert!(unseen.is_empty(), "{name}: made, but in no effect: {unseen:#?}");
    for tool in tools.iter().chain([&NONE]) {
        let folder = format!("{root}/truth/{tool}/");
        assert!(made.iter().any(|path| path.starts_with(&folder)), "{name}: the program made nothing for {tool}");
    }
    Some((score, all))
}

fn check_with(case: u32, tools: &[&str], agent: Agent) {
    let Some((score, all)) = scored(case, tools, agent) else { return };
    let name = format!("attribution case {case}, {agent:?}");
    assert_eq!(score.wrong, 0, "{name}: wrong blame: {:#?}", score.faults);
    assert!(score.right * 1000 >= all * 995, "{name}: {} of {all} are right: {:#?}", score.right, score.faults);
    assert!(score.faults.is_empty(), "{name}: {:#?}", score.faults);
}

#[test]
fn case_01_fork_exec_pipeline_xargs_make() {
    check(1, &["A", "B"]);
}

#[test]
fn case_02_double_fork() {
    check(2, &["A", "B"]);
}

#[test]
fn case_03_setsid_nohup_background() {
    check(3, &["A", "B"]);
}

#[test]
fn case_04_vfork_posix_spawn() {
    check(4, &["A", "B"]);
}

#[test]
fn case_05_clone_parent() {
    check(5, &["A", "B"]);
}

#[test]
fn case_07_exec_from_another_thread() {
    check(7, &["A", "B"]);
}

#[test]
fn case_08_a_process_id_used_again() {
    if std::fs::OpenOptions::new().write(true).open("/proc/sys/kernel/ns_last_pid").is_err() {
        return skip("attribution case 8", "this kernel or user cannot choose the next process id");
    }
    check(8, &["A", "B"]);
}

#[test]
fn case_09_subreapers() {
    check(9, &["A", "B"]);
}

#[test]
fn case_10_a_pid_namespace() {
    if !run(Command::new("unshare").args(["--pid", "--fork", "true"])).status.success() {
        return skip("attribution case 10", "this user cannot make a pid namespace");
    }
    check(10, &["A", "B"]);
}

#[test]
fn case_06_thread_pool() {
    check(6, &["T0", "T1", "T2", "T3", "T4", "T5", "T6", "T7"]);
}

#[test]
fn case_11_overlapping_calls() {
    check(11, &["A", "B"]);
}

#[test]
fn case_16_background_job_beside_the_next_call() {
    check(16, &["T1", "T2"]);
}

#[test]
fn case_12_overlapping_tasks_with_the_sdk() {
    check_with(12, &["A", "B"], Agent::Sdk);
}

/// Without marks, what a thread does while two calls overlap on it is either's; what neither's name is on, no call's.
#[test]
fn case_13_overlapping_tasks_without_the_sdk() {
    let Some((score, all)) = scored(12, &["A", "B"], Agent::Plain) else { return };
    assert_eq!(score.wrong, 0, "wrong blame: {:#?}", score.faults);
    assert!(score.ambiguous > 0 && score.ambiguous + score.right + score.missing == all, "{:#?}", score.faults);
}

#[test]
fn case_14_a_hundred_overlapping_tasks() {
    check_with(14, &["A", "B", "C", "D"], Agent::Sdk);
}

#[test]
fn case_19_what_one_call_writes_another_executes() {
    check(19, &["T1", "T2"]);
}

#[test]
fn case_21_work_set_off_by_a_signal() {
    check(21, &["T1", "T2"]);
}

#[test]
fn case_26_calls_that_end_badly() {
    check(26, &["raises", "crashes", "slow", "endless"]);
}

#[test]
fn case_32_programs_that_hide_what_they_are() {
    check(32, &["A", "B"]);
}

/// Beyond the list of cases.
#[test]
fn case_34_a_pool_of_processes() {
    check_with(34, &["A", "B"], Agent::Sdk);
}

#[test]
fn case_25_nested_calls() {
    check(25, &["outer", "inner"]);
}

#[test]
fn case_31_a_tool_that_lies() {
    check(31, &["honest", "liar"]);
    let Some((score, _)) = scored(31, &["honest", "liar"], Agent::Sdk) else { return };
    for rule in ["forged-span", "mark-contradiction", "carrier-contradiction"] {
        assert!(score.rules.contains(rule), "{rule} is not among {:?}", score.rules);
    }
}

#[test]
fn the_scorer_tells_right_from_wrong() {
    let truth = truth_of("/r/truth/A/1/x", "/r").expect("a path of truth");
    assert_eq!(truth, Truth { tool: "A", file: "x" });
    for other in ["/r/truth/A", "/r/elsewhere/A/1/x", "/q/truth/A/1/x"] {
        assert_eq!(truth_of(other, "/r"), None, "{other}");
    }

    let effect = |object: &str, basis: &str| {
        serde_json::json!({
            "facet": "write", "object": object, "outcome": "ok", "detail": null, "count": 2, "first_ns": 0,
            "last_ns": 0, "late": false, "basis": basis, "event_ids": [1, 2], "expectation": "undeclared",
            "from_kernel": true
        })
    };
    let call = |name: &str, effects: Vec<serde_json::Value>| {
        serde_json::json!({
            "number": 1, "span_id": name, "chain": [], "kind": "tool", "name": name, "start_ns": 0, "end_ns": 1,
            "status": null, "args": null, "result": null, "declares": null, "told": [], "effects": effects,
            "events": 2, "late_events": 0, "none_of": [], "cannot_conclude": []
        })
    };
    let report: Report = serde_json::from_value(serde_json::json!({
        "report_version": 1,
        "case": {
            "name": "", "host": "", "kernel": "", "command": [], "started_real_ns": 0, "started_boot_ns": 0,
            "duration_ns": 0, "events": 0, "spans": 0, "processes": 0, "lost": 0, "ended": "", "clean": true,
            "manifest_sha256": ""
        },
        "findings": [],
        "calls": [
            call("A", vec![
                effect("/r/truth/A/1/x", "lineage"),
                effect("/r/truth/B/1/x", "lineage"),
                effect("/r/truth/A/1/own-x", "window"),
                effect("/r/truth/A/1/late-x", "lineage"),
                effect("/usr/lib/libc.so.6", "lineage"),
            ]),
            call("B", vec![effect("/r/truth/none/1/x", "lineage")]),
        ],
        "verdicts": [],
        "unowned": [
            {"verdict": "runtime", "candidates": [], "reason": null, "effects":
                [effect("/r/truth/none/1/y", "window"), effect("/r/truth/A/1/y", "window")]},
            {"verdict": "ambiguous", "candidates": ["A", "B"], "reason": null, "effects":
                [effect("/r/truth/A/1/z", "window")]},
        ],
        "timeline": [],
        "limits": []
    }))
    .expect("the report follows its schema");
    let score = score(&report, "/r", Agent::Sdk);
    assert_eq!((score.right, score.wrong, score.ambiguous, score.missing), (8, 4, 2, 2), "{:#?}", score.faults);
    assert_eq!(score.faults.len(), 6, "{:#?}", score.faults);
}
