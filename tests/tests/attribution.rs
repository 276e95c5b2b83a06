//! The attribution battery: real programs, really recorded, whose paths say which call is behind each event.
//!
//! Wrong blame must be zero: an event given to a call that did not cause it is worse than one given to none.

use argus_schemas::report::{Facet, Link, Report, Way};
use argus_tests::baselines::{self, Rival};
use argus_tests::battery::{self, Agent, Asked, CASES, Recorded, numbered, record, score};
use argus_tests::table;
use argus_tests::truth::{Truth, truth_of};
use argus_tests::{all_effects, analyze, shown};

/// Records a case with each of its agents and holds it to what is asked of it.
fn check(number: u32) -> Vec<Recorded> {
    let case = numbered(number);
    let recorded = case.agents.iter().filter_map(|agent| record(case, *agent));
    recorded.inspect(|recorded| battery::judge(case, recorded)).collect()
}

#[test]
fn case_01_fork_exec_pipeline_xargs_make() {
    check(1);
}

#[test]
fn case_02_double_fork() {
    check(2);
}

#[test]
fn case_03_setsid_nohup_background() {
    check(3);
}

#[test]
fn case_04_vfork_posix_spawn() {
    check(4);
}

#[test]
fn case_05_clone_parent() {
    check(5);
}

#[test]
fn case_06_thread_pool() {
    check(6);
}

#[test]
fn case_07_exec_from_another_thread() {
    check(7);
}

#[test]
fn case_08_a_process_id_used_again() {
    check(8);
}

#[test]
fn case_09_subreapers() {
    check(9);
}

#[test]
fn case_10_a_pid_namespace() {
    check(10);
}

#[test]
fn case_11_overlapping_calls() {
    check(11);
}

#[test]
fn case_12_overlapping_tasks_with_the_sdk() {
    check(12);
}

/// Without marks, what a thread does while two calls overlap on it is either's; what neither's name is on, no call's.
#[test]
fn case_13_overlapping_tasks_without_the_sdk() {
    for recorded in check(13) {
        assert!(recorded.score.ambiguous > 0, "{:#?}", recorded.score);
    }
}

#[test]
fn case_14_a_hundred_overlapping_tasks() {
    check(14);
}

#[test]
fn case_15_a_persistent_shell() {
    check(15);
}

#[test]
fn case_16_background_job_beside_the_next_call() {
    check(16);
}

#[test]
fn case_17_a_daemon_of_one_call_serves_the_next() {
    for recorded in check(17) {
        let expected = [(Way::Socket, "/unix"), (Way::Socket, "/unix-dgram"), (Way::Socket, "")];
        linked(&recorded, ("T2", Some("T1")), &expected);
        linked(&recorded, ("T3", Some("T1")), &[(Way::Pipe, "/fifo")]);
    }
}

/// What the daemon does is not in the record: it is no part of what is followed.
#[test]
fn case_18_a_daemon_older_than_the_capture() {
    for recorded in check(18) {
        let inside = all_effects(&recorded.report).find(|effect| effect.object.contains("/outside/"));
        assert!(inside.is_none(), "{}: {inside:?}", recorded.name);
    }
}

/// Holds a report to links of these ways from the first call to the second, each with an object that ends so; and the
/// explanations of both sides to the same.
#[track_caller]
fn linked(recorded: &Recorded, (from, to): (&str, Option<&str>), expected: &[(Way, &str)]) {
    let calls = &recorded.report.calls;
    let named = |id: &str| calls.iter().find(|call| call.span_id == id).map(|call| call.name.as_str());
    let between = |link: &&Link| named(&link.from) == Some(from) && link.to.as_deref().and_then(named) == to;
    for (way, object) in expected {
        let all = &recorded.report.links;
        let links = all.iter().filter(between).filter(|link| link.way == *way).flat_map(|link| &link.objects);
        let one = links.clone().find(|one| one.object.ends_with(object));
        let one = one.unwrap_or_else(|| panic!("{}: no {way:?} of {object} in {all:#?}", recorded.name));
        for event in [one.from_event, one.to_event] {
            let output = analyze(&["explain".as_ref(), recorded.folder.as_os_str(), event.to_string().as_ref()]);
            let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
            let sides = [one.from_event, one.to_event].map(|event| format!("(event {event})"));
            let told = text.contains("What went from call to call") && sides.iter().all(|side| text.contains(side));
            assert!(told, "{}: event {event} of {one:?}: {text}", recorded.name);
        }
    }
}

/// The execution is linked to the writing, and what comes of it has both in its path.
#[test]
fn case_19_what_one_call_writes_another_executes() {
    for recorded in check(19) {
        let expected = [(Way::Executed, "/shared/script"), (Way::Executed, "/hooks/pre-commit")];
        linked(&recorded, ("T1", Some("T2")), &expected);
        assert!(recorded.score.rules.contains("executed-what-another-wrote"), "{:?}", recorded.score.rules);
        let made = all_effects(&recorded.report).find(|effect| effect.object.ends_with("/script-touch"));
        let event = made.and_then(|effect| effect.event_ids.first()).expect("it is in the record").to_string();
        let output = analyze(&["explain".as_ref(), recorded.folder.as_os_str(), event.as_ref()]);
        let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        let path = text.split_once("T1 wrote ").and_then(|(_, rest)| rest.split_once(&format!("(event {event}).")));
        let (path, _) = path.unwrap_or_else(|| panic!("no path to event {event}: {text}"));
        assert!(path.contains("T2 executed (event "), "{path}");
    }
}

#[test]
fn case_20_what_goes_between_calls() {
    for recorded in check(20) {
        let expected = [(Way::Pipe, "/fifo"), (Way::Socket, "/socket"), (Way::Descriptor, "/etc/hostname")];
        linked(&recorded, ("T1", Some("T2")), &expected);
    }
}

#[test]
fn case_21_work_set_off_by_a_signal() {
    for recorded in check(21) {
        linked(&recorded, ("T2", Some("T1")), &[(Way::Signal, "with signal 10")]);
    }
}

/// Who wrote into the other's memory is recorded.
#[test]
fn case_22_anothers_memory_written() {
    for recorded in check(22) {
        for detail in ["memory written", "ptrace"] {
            let mut calls = recorded.report.calls.iter().filter(|call| {
                let is = |effect: &argus_schemas::report::Effect| {
                    effect.facet == Facet::Signal && effect.detail.as_deref() == Some(detail)
                };
                call.effects.iter().any(is)
            });
            let actor = calls.next().map(|call| call.name.as_str());
            assert_eq!(actor, Some("T2"), "{}: {detail}", recorded.name);
            assert!(calls.next().is_none(), "{}: {detail}", recorded.name);
        }
        linked(&recorded, ("T2", Some("T1")), &[(Way::Ptrace, ""), (Way::MemoryWritten, "")]);
    }
}

#[test]
fn case_23_io_uring() {
    check(23);
}

#[test]
fn case_24_a_tool_in_the_agents_own_thread() {
    check(24);
}

#[test]
fn case_25_nested_calls() {
    check(25);
}

#[test]
fn case_26_calls_that_end_badly() {
    check(26);
}

#[test]
fn case_27_a_server_over_stdio() {
    check(27);
}

#[test]
fn case_28_processes_that_began_before_the_capture() {
    check(28);
}

/// The record tells of the gap, and what hangs beneath it is nobody's.
#[test]
fn case_29_events_lost_in_the_middle_of_a_tree() {
    for recorded in check(29) {
        let (name, rules) = (&recorded.name, &recorded.score.rules);
        assert!(rules.contains("lost-fork"), "{name}: {rules:?}");
        assert!(
            recorded.score.by_basis.get("unknown").is_some_and(|events| *events >= 8),
            "{name}: {:?}",
            recorded.score
        );
        let gap = analyze(&["verify".as_ref(), recorded.folder.as_os_str()]);
        assert!(shown(&gap).contains("events are absent, as the manifest says"), "{name}: {}", shown(&gap));
    }
}

#[test]
fn case_30_spans_that_are_off() {
    check(30);
}

#[test]
fn case_31_a_tool_that_lies() {
    for recorded in check(31) {
        for rule in ["forged-span", "mark-contradiction", "carrier-contradiction"] {
            let sdk = recorded.name.ends_with("Sdk");
            assert!(!sdk || recorded.score.rules.contains(rule), "{rule} is not among {:?}", recorded.score.rules);
        }
    }
}

#[test]
fn case_32_programs_that_hide_what_they_are() {
    check(32);
}

#[test]
fn case_33_random_trees() {
    check(33);
}

#[test]
fn case_34_a_pool_of_processes() {
    check(34);
}

#[test]
fn case_35_a_job_that_waits_for_lines() {
    check(35);
}

/// With marks, a coarse clock leaves no call's event in doubt; only what the agent did by itself beside a call may be.
#[test]
fn case_36_spans_that_are_off_with_marks() {
    for recorded in check(36) {
        let score = &recorded.score;
        assert!(score.ambiguous == 0 && score.faults.iter().all(|fault| fault.contains("/truth/none/")), "{score:#?}");
    }
}

/// Each request says whose the work is, so that more is told than in case 27.
#[test]
fn case_37_a_server_behind_the_proxy() {
    for recorded in check(37) {
        let score = &recorded.score;
        assert!(score.right * 10 >= score.all() * 8, "{score:#?}");
    }
}

#[test]
fn case_38_work_handed_on_within_the_agent() {
    check(38);
}

#[test]
fn case_39_workers_that_serve_nobody_knows_whom() {
    for recorded in check(39) {
        assert!(recorded.score.ambiguous > 0, "{:#?}", recorded.score);
    }
}

#[test]
fn case_41_git_with_hooks() {
    check(41);
}

#[test]
fn case_42_make() {
    check(42);
}

#[test]
fn case_43_cargo_build() {
    check(43);
}

#[test]
fn case_44_pytest_with_xdist() {
    check(44);
}

#[test]
fn case_45_npm_run() {
    check(45);
}

#[test]
fn case_46_tmux() {
    check(46);
}

#[test]
fn case_47_ssh_agent() {
    check(47);
}

#[test]
fn case_48_ccache() {
    check(48);
}

#[test]
fn case_49_a_hundred_tools_in_one_asyncio_thread() {
    for recorded in check(49) {
        let tools = recorded.report.calls.iter().filter(|call| call.kind == "tool" && !call.effects.is_empty());
        assert_eq!(tools.count(), 100);
    }
}

#[test]
#[ignore = "it takes a minute; `make battery` runs it"]
fn case_33_two_hundred_random_trees() {
    let case = numbered(33);
    for agent in case.agents {
        if let Some(recorded) = battery::record_with(case, *agent, &[("BATTERY_SEEDS", "200")]) {
            battery::judge(case, &recorded);
        }
    }
}

/// The same cases as a table, beside what simpler ways to join the two logs make of the very same records.
#[test]
#[ignore = "it records the whole battery once more; `make battery` runs it"]
fn the_battery_as_a_table() {
    let mut rows = Vec::new();
    for case in CASES {
        for agent in case.agents {
            if let Some(recorded) = record(*case, *agent) {
                battery::judge(*case, &recorded);
                rows.push(baselines::Row::of(*case, *agent, &recorded));
            }
        }
    }
    let table = table::markdown(&rows);
    println!("{table}");
    assert!(rows.is_empty() || rows.len() > CASES.len(), "most cases are run with two agents");
    for row in &rows {
        assert_eq!(row.tally(Rival::Argus).wrong, 0, "wrong blame in case {}, {:?}", row.case.number, row.agent);
    }
    if std::env::var_os("UPDATE_BATTERY").is_some() && !rows.is_empty() {
        std::fs::write(argus_tests::workspace().join("tests/battery.md"), table).expect("it can be written");
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
    let score = score(&report, "/r", Agent::Sdk, Asked::All);
    assert_eq!((score.right, score.wrong, score.ambiguous, score.missing), (8, 4, 2, 2), "{:#?}", score.faults);
    assert_eq!(score.faults.len(), 6, "{:#?}", score.faults);
}
