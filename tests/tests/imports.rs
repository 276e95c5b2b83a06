//! Agents that report to nobody: their own logs, added to the case afterwards, give each call what it did.
//!
//! Such a log names no process and no thread, and a transcript tells only between which milliseconds a call ran. What its
//! arguments name decides.

use argus_schemas::report::{Call, Effect, Report};
use argus_schemas::verdicts::Basis;
use argus_tests::truth::truth_of;
use argus_tests::{
    Scratch, analyze, can_capture, capture, copy_folder, files_beneath, one_at_a_time, report, shown, skip, workspace,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

/// The letter that tests/battery/logged.py gave to a call.
fn letter(call: &Call) -> String {
    let named = call.span_id.rsplit_once('_').map(|(_, letter)| letter.to_owned());
    let number = u32::from_str_radix(&call.span_id, 16).ok().and_then(char::from_u32);
    named.or_else(|| number.map(String::from)).unwrap_or_else(|| call.span_id.clone())
}

/// How often each call is said to have touched files, by the truth in their paths and by the basis; the rest under `-`.
fn tally(report: &Report, root: &str) -> BTreeMap<(String, String), BTreeSet<Option<Basis>>> {
    let mut tally: BTreeMap<(String, String), BTreeSet<Option<Basis>>> = BTreeMap::new();
    let owned = report.calls.iter().flat_map(|call| call.effects.iter().map(move |effect| (letter(call), effect)));
    let unowned = report.unowned.iter().flat_map(|group| &group.effects).map(|effect| ("-".to_owned(), effect));
    for (owner, effect) in owned.chain(unowned) {
        if let Some(truth) = truth_of(&effect.object, root) {
            tally.entry((truth.tool.to_owned(), owner)).or_default().insert(effect.basis);
        }
    }
    tally
}

/// What is late says so in its name.
#[track_caller]
fn check_late(report: &Report, root: &str) {
    for call in &report.calls {
        for effect in &call.effects {
            let Some(truth) = truth_of(&effect.object, root) else { continue };
            let expected = truth.file.starts_with("late-");
            assert_eq!(effect.late, expected, "{} of {}", effect.object, letter(call));
        }
    }
}

/// Records the agent, adds its log, and compares on what each call's files may rest.
fn check(make: &str, calls: u64, bases: &[(&str, &[Basis])]) {
    if let Err(why) = can_capture() {
        return skip(&format!("imported log, {make}"), &why);
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("imports");
    let (root, log, case) = (scratch.join("root"), scratch.join("log.jsonl"), scratch.join("case.argus"));
    for (tool, _) in bases {
        std::fs::create_dir_all(root.join("truth").join(tool).join("1")).expect("folders can be made");
    }
    let text = |path: &Path| path.to_str().expect("the path is UTF-8").to_owned();
    let program = workspace().join("tests/battery/logged.py");
    let output = capture(&case, &[], &[], &["python3", "-B", &text(&program), &text(&root), "1", make, &text(&log)]);
    assert!(output.status.success(), "{make}: {}", shown(&output));

    let before = report(&case);
    assert_eq!((before.case.lost, before.calls.len()), (0, 0), "{make}: {:#?}", before.findings);
    let output = analyze(&[OsStr::new("import"), case.as_os_str(), log.as_os_str(), "--json".as_ref()]);
    assert!(output.status.success(), "{make}: {}", shown(&output));
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let counted = (&added[0]["format"], &added[0]["calls"], &added[0]["within"], &added[0]["not_understood"]);
    assert_eq!(counted, (&make.into(), &calls.into(), &calls.into(), &0.into()), "{make}: {added:#}");

    let after = report(&case);
    let root = text(&root);
    check_late(&after, &root);
    let tally = tally(&after, &root);
    println!("imported log, {make}: {tally:?}");
    for ((truth, owner), found) in &tally {
        assert_eq!(truth, owner, "{make}: {found:?}: {:#?}", after.unowned);
        let (_, allowed) = bases.iter().find(|(tool, _)| tool == truth).expect("a call");
        let all = found.iter().all(|basis| basis.is_some_and(|basis| allowed.contains(&basis)));
        assert!(all, "{make}: {truth} rests on {found:?}, not {allowed:?}");
    }
    assert_eq!(tally.len(), bases.len(), "{make}: every call did something: {tally:?}");
    let seen: BTreeSet<&str> = after.calls.iter().flat_map(|call| &call.effects).map(|e| e.object.as_str()).collect();
    let unseen: Vec<_> = files_beneath(&Path::new(&root).join("truth"))
        .into_iter()
        .filter(|path| !seen.contains(text(path).as_str()))
        .collect();
    assert!(unseen.is_empty(), "{make}: made, but in no effect: {unseen:#?}");
    check_explained(make, &case, &after);
    check_stepped(make, &case, &scratch, &root);
}

/// The wall clock was set while the case was recorded, by these milliseconds in all: that widens what is unknown, and
/// blames nobody.
fn check_stepped(make: &str, case: &Path, scratch: &Scratch, root: &str) {
    for milliseconds in [100_i64, 500, 200_000, -300, -200_000] {
        let copy = scratch.join(format!("stepped{milliseconds}.argus"));
        copy_folder(case, &copy);
        let path = copy.join("manifest.json");
        let text = std::fs::read_to_string(&path).expect("it is there");
        let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let last = manifest["clock_pairs"].as_array_mut().and_then(|pairs| pairs.last_mut()).expect("a pair");
        let real = last["real_ns"].as_i64().expect("a number");
        last["real_ns"] = (real + milliseconds * 1_000_000).into();
        std::fs::write(&path, manifest.to_string()).expect("it can be written");
        for ((truth, owner), found) in tally(&report(&copy), root) {
            assert!(owner == "-" || truth == owner, "{make}, {milliseconds} ms: {owner} for {truth}, by {found:?}");
        }
    }
}

/// `explain` argues from the arguments where they decided.
fn check_explained(make: &str, case: &Path, report: &Report) {
    let call = report.calls.iter().find(|call| letter(call) == "D").expect("the call that writes a file itself");
    let file = |effect: &&Effect| effect.object.ends_with("/own-while") && effect.basis == Some(Basis::Argument);
    let event = call.effects.iter().find(file).expect("it wrote the file").event_ids[0].to_string();
    let output = analyze(&[OsStr::new("explain"), case.as_os_str(), event.as_ref(), "--json".as_ref()]);
    assert!(output.status.success(), "{make}: {}", shown(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["ruling"]["owner"].as_str(), Some(call.span_id.as_str()), "{make}: {told:#}");
    assert_eq!(told["ruling"]["basis"], "argument", "{make}: {told:#}");
    let only = format!("Of these, only the arguments of call {} {} name the path ", call.number, call.name);
    let steps = told["decided"].as_array().expect("steps");
    assert!(steps.iter().any(|step| step.as_str().is_some_and(|step| step.starts_with(&only))), "{make}: {told:#}");
}

/// What a shell's subprocesses did rests on the lineage from it; what the shell itself did, on its own command.
const BY_NAME: &[Basis] = &[Basis::Argument, Basis::Lineage];

#[test]
fn a_claude_code_transcript() {
    let own: &[Basis] = &[Basis::Argument];
    // Six calls, four answers of the model, and the session.
    check("claude-code", 11, &[("A", BY_NAME), ("B", BY_NAME), ("C", BY_NAME), ("D", own), ("E", BY_NAME), ("F", own)]);
}

#[test]
fn a_codex_rollout() {
    let own: &[Basis] = &[Basis::Argument];
    check("codex", 7, &[("A", BY_NAME), ("B", BY_NAME), ("C", BY_NAME), ("D", own), ("E", BY_NAME), ("F", own)]);
}

/// Its instants are good to a microsecond, so that where one call alone is open its window decides.
#[test]
fn an_otlp_file() {
    let own: &[Basis] = &[Basis::Argument];
    let by_window = &[Basis::Lineage];
    check(
        "otlp",
        6,
        &[("A", BY_NAME), ("B", BY_NAME), ("C", by_window), ("D", own), ("E", BY_NAME), ("F", &[Basis::Window])],
    );
}
