//! What agents say by themselves: marks of shells, hooks of coding agents, OpenTelemetry, MCP. Each is recorded as its
//! users would, and ends in a report by tool, which is checked against the truth in the paths that were touched.

use argus_schemas::report::{Call, Facet, Report};
use argus_tests::{
    Scratch, analyze, as_root, can_capture, capture, files_beneath, on_path, one_at_a_time, program, report, run,
    shown, skip, workspace,
};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn ready(what: &str) -> bool {
    if let Err(why) = can_capture() {
        skip(what, &why);
        return false;
    }
    true
}

/// A folder for what is touched, with one in it for each owner.
fn truth(scratch: &Scratch, owners: &[&str]) -> PathBuf {
    for owner in owners {
        fs::create_dir_all(scratch.join("truth").join(owner)).expect("folders can be made");
    }
    scratch.join("truth")
}

/// Who each file of the truth was given to: a call, candidates (`A|B`), or the verdict's word.
fn owners(report: &Report, truth: &Path) -> BTreeSet<(String, String)> {
    owners_by(report, truth, |call| call.name.clone())
}

/// The same, by another name of the calls than their tool's.
fn owners_by(report: &Report, truth: &Path, called: impl Fn(&Call) -> String) -> BTreeSet<(String, String)> {
    let prefix = format!("{}/", truth.display());
    let touched = |effects: &[argus_schemas::report::Effect]| -> Vec<String> {
        let written = effects.iter().filter(|effect| effect.facet == Facet::Write);
        written.filter_map(|effect| effect.object.strip_prefix(&prefix)).map(str::to_owned).collect()
    };
    let name =
        |id: &String| report.calls.iter().find(|call| &call.span_id == id).map_or_else(|| "?".to_owned(), &called);
    let mut owners = BTreeSet::new();
    for call in &report.calls {
        owners.extend(touched(&call.effects).into_iter().map(|file| (file, called(call))));
    }
    for group in &report.unowned {
        let owner = match group.candidates.as_slice() {
            [] => group.verdict.as_str().to_owned(),
            candidates => candidates.iter().map(name).collect::<Vec<_>>().join("|"),
        };
        owners.extend(touched(&group.effects).into_iter().map(|file| (file, owner.clone())));
    }
    owners
}

/// The Python with the real packages that agents use (tests/support/sdk.sh).
fn python() -> Option<PathBuf> {
    let script = r#"source tests/support/sdk.sh; printf %s "$sdk_venv/bin/python3""#;
    let output = run(Command::new("bash").current_dir(workspace()).args(["-c", script]));
    let python = PathBuf::from(String::from_utf8(output.stdout).expect("a path of this machine"));
    python.exists().then_some(python)
}

/// Records a command and checks whose everything was that it touched, and which of these rules found something.
#[track_caller]
fn check(
    scratch: &Scratch,
    options: &[&str],
    command: &[OsString],
    truth: &Path,
    expected: &[(&str, &str)],
    rules: &[&str],
) -> Report {
    let _alone = one_at_a_time();
    let case = scratch.join("agent.argus");
    let output = capture(&case, options, &[], command);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", shown(&output));
    let report = report(&case);
    let expected = expected.iter().map(|(file, owner)| ((*file).to_owned(), (*owner).to_owned())).collect();
    assert_eq!(owners(&report, truth), expected, "{:#?}", report.findings);
    let about_claims = |rule: &&str| {
        rule.contains("contradiction") || rule.contains("span") || rule.contains("refused") || rule.contains("lines")
    };
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.rule.as_str()).filter(about_claims).collect();
    assert_eq!(found, rules, "{:#?}", report.findings);
    assert!(report.case.clean && report.case.lost == 0, "{:?}", report.case);
    report
}

#[test]
fn a_shells_marks() {
    if !ready("marks of a shell") {
        return;
    }
    for shell in ["sh", "bash", "dash"] {
        if !on_path(shell) {
            skip(&format!("marks of {shell}"), "it is not installed");
            continue;
        }
        let scratch = Scratch::new("mark");
        let truth = truth(&scratch, &["none", "deploy", "migrate", "honest"]);
        let command = [
            shell.into(),
            workspace().join("tests/agents/mark.sh").into_os_string(),
            truth.clone().into_os_string(),
            program("argus-capture").into_os_string(),
        ];
        let expected = [
            ("none/before", "runtime"),
            ("deploy/own", "deploy"),
            ("deploy/child", "deploy"),
            ("migrate/own", "migrate"),
            ("migrate/child", "migrate"),
            ("deploy/own-again", "deploy"),
            ("gate", "deploy"),
            ("gate", "runtime"),
            ("deploy/late", "deploy"),
            ("none/after", "runtime"),
            ("none/child", "runtime"),
            ("honest/child", "honest"),
            ("honest/own", "honest"),
        ];
        let report = check(&scratch, &[], &command, &truth, &expected, &["forged-span", "unended-span"]);
        let told: Vec<_> = report
            .calls
            .iter()
            .map(|call| (call.name.as_str(), call.kind.as_str(), call.status.as_deref(), call.result.as_deref()))
            .collect();
        let expected = [
            ("deploy", "tool", Some("error"), None),
            ("migrate", "step", Some("ok"), Some("\"done\"")),
            ("honest", "tool", Some("ok"), None),
            ("forged", "tool", None, None),
        ];
        assert_eq!(told, expected, "{shell}");
    }
}

#[test]
fn a_file_that_goes_from_step_to_step() {
    if !ready("links of a shell") {
        return;
    }
    let scratch = Scratch::new("links");
    let (folder, script) = (scratch.join("handed"), workspace().join("tests/agents/links.sh"));
    fs::create_dir(&folder).expect("folders can be made");
    let argus = program("argus-capture").into_os_string();
    let command = ["sh".into(), script.into_os_string(), folder.clone().into_os_string(), argus];
    let report = check(&scratch, &[], &command, &scratch.join("truth"), &[], &[]);
    let name = |id: &str| {
        report
            .calls
            .iter()
            .find(|call| call.span_id == id)
            .map_or_else(|| format!("span {id}"), |call| call.name.clone())
    };
    let mut told = BTreeSet::new();
    for link in &report.links {
        for one in link.objects.iter().filter(|one| Path::new(&one.object).starts_with(&folder)) {
            let to = link.to.as_deref().map_or_else(|| "the agent".to_owned(), name);
            let text = format!("{} {} {to} {}", name(&link.from), one.given(link.way, name), one.taken_how(link.way));
            let text = text.replace(&format!("{}/", folder.display()), "");
            told.insert(
                text.split(" (event ").map(|part| part.split_once(')').map_or(part, |(_, rest)| rest)).collect(),
            );
        }
    }
    let expected = [
        "write wrote old, which rename renamed to new, which open opened",
        "write wrote old, which rename renamed to new, which run executed",
        "open opened for writing new, which run executed",
    ];
    assert_eq!(told, expected.map(str::to_owned).into(), "{:#?}", report.links);
}

#[test]
fn a_coding_agents_hooks() {
    if !ready("hooks of a coding agent") {
        return;
    }
    let scratch = Scratch::new("hook");
    let folders = ["none", "perhaps", "Alone", "First", "Second", "either", "Inner", "Again", "And again"];
    let truth = truth(&scratch, &folders);
    assert!(run(Command::new("mkfifo").arg(truth.join("gate"))).status.success());
    let output = run(Command::new(program("argus-capture")).args(["hook", "--settings"]));
    assert!(output.status.success(), "{}", shown(&output));
    fs::write(scratch.join("settings.json"), &output.stdout).expect("the settings can be written");
    let command = [
        "python3".into(),
        workspace().join("tests/agents/hooked.py").into_os_string(),
        truth.clone().into_os_string(),
        scratch.join("settings.json").into_os_string(),
    ];
    let expected = [
        ("none/before", "runtime"),
        ("Alone/child", "Alone"),
        ("Alone/own", "Alone"),
        ("Alone/late", "Alone"),
        ("none/between", "runtime"),
        ("First/child", "First"),
        ("either/child", "First|Second"),
        ("Second/own", "Second"),
        ("Inner/child", "Inner"),
        ("Inner/own", "Inner"),
        ("none/sub-agent", "runtime"),
        ("perhaps/own", "unknown"),
        ("none/after", "runtime"),
        ("Again/own", "Again"),
        ("none/after-Again", "runtime"),
        ("And again/own", "And again"),
        ("none/after-And again", "runtime"),
        ("perhaps/other", "unknown"),
        ("none/end", "runtime"),
        ("gate", "runtime"),
        ("none/child", "runtime"),
    ];
    let report = check(&scratch, &[], &command, &truth, &expected, &["unread-span-lines"]);
    let mut told: Vec<_> =
        report.calls.iter().map(|call| (call.name.as_str(), call.status.as_deref(), call.result.as_deref())).collect();
    // Of two that lie between the same hooks, nothing tells which began first.
    told[3..6].sort();
    let expected = [
        ("Alone", Some("ok"), Some("{\"stdout\":\"cut \u{fffd}\"}")),
        ("First", Some("ok"), Some(r#"{"stdout":""}"#)),
        ("Second", Some("error"), Some("\"it broke\"")),
        ("Explore", Some("ok"), None),
        ("Inner", Some("ok"), Some(r#"{"stdout":""}"#)),
        ("Task", Some("ok"), Some(r#"{"stdout":""}"#)),
        ("Refused", Some("abandoned"), None),
        ("Again", Some("ok"), Some(r#"{"stdout":""}"#)),
        ("And again", Some("ok"), Some(r#"{"stdout":""}"#)),
        ("Broken off", Some("abandoned"), None),
    ];
    assert_eq!(told, expected);
}

/// A program of those coding agents that `make setup` installs (tests/support/coders.sh).
fn coder(pattern: &str) -> Option<PathBuf> {
    let script = format!(r#"source tests/support/coders.sh; printf '%s\n' "$coders"/node_modules/{pattern}"#);
    let output = run(Command::new("bash").current_dir(workspace()).args(["-c", &script]));
    let paths = String::from_utf8(output.stdout).expect("paths of this machine");
    paths.lines().map(PathBuf::from).find(|path| path.exists())
}

/// Records a coding agent, and checks whose everything was that its model's calls touched.
#[track_caller]
fn check_coder(which: &str, pattern: &str, owners: &[&str], expected: &[(&str, &str)]) {
    let what = format!("the hooks of {which} itself");
    if !ready(&what) {
        return;
    }
    let Some(program_of_it) = coder(pattern) else {
        return skip(&what, "it is not installed");
    };
    let _alone = one_at_a_time();
    let scratch = Scratch::new(which);
    let truth = truth(&scratch, owners);
    let case = scratch.join("agent.argus");
    let command: Vec<OsString> = ["unshare", "-rn", "sh"]
        .into_iter()
        .map(OsString::from)
        .chain([
            workspace().join("tests/agents/coder.sh").into_os_string(),
            which.into(),
            program_of_it.into_os_string(),
            truth.clone().into_os_string(),
            program("argus-capture").into_os_string(),
            scratch.join("home").into_os_string(),
        ])
        .collect();
    let output = capture(&case, &[], &[], &command);
    assert!(output.status.success(), "{}", shown(&output));
    let report = report(&case);
    check_owners(&report, &truth, owners, expected);
    let told = |call: &&Call| call.kind == "tool" && call.status.as_deref() == Some("ok") && call.args.is_some();
    assert_eq!(report.calls.iter().filter(told).count(), owners.len(), "{:#?}", report.calls);
    let hooks = report.calls.iter().flat_map(|call| &call.effects);
    let of_hooks: Vec<_> = hooks.filter(|effect| effect.object.ends_with("/argus-capture")).collect();
    assert!(of_hooks.is_empty(), "a hook is no act of a call: {of_hooks:#?}");
    if which == "gemini" {
        check_its_session(&scratch, &report, owners, expected);
    }
}

/// Whose everything was that a model's calls touched.
#[track_caller]
fn check_owners(report: &Report, truth: &Path, owners: &[&str], expected: &[(&str, &str)]) {
    // The hooks of Gemini CLI tell no id, and its session makes one of the tool's name and the model's id.
    let called = |call: &Call| {
        let named = |owner: &&&str| call.args.as_deref().is_some_and(|args| args.contains(&format!("/{owner}/")));
        let by_words = || owners.iter().find(named).map_or_else(String::new, |&owner| owner.into());
        call.call_id.as_deref().map_or_else(by_words, |id| id.rsplit("__").next().unwrap_or(id).to_owned())
    };
    let got: Vec<(String, String)> =
        owners_by(report, truth, called).into_iter().filter(|(file, _)| file.ends_with("child")).collect();
    let expected: Vec<_> = expected.iter().map(|(file, owner)| ((*file).to_owned(), (*owner).to_owned())).collect();
    assert_eq!(got, expected, "{:#?}", report.findings);
}

/// What Gemini CLI kept itself tells of the same calls, with their ids.
#[track_caller]
fn check_its_session(scratch: &Scratch, before: &Report, owners: &[&str], expected: &[(&str, &str)]) {
    let case = scratch.join("agent.argus");
    let mut logs = files_beneath(&scratch.join("home/.gemini/tmp"));
    logs.retain(|file| file.extension() == Some("jsonl".as_ref()));
    assert_eq!(logs.len(), 2, "its own and its sub-agent's: {logs:?}");
    let arguments: Vec<&OsStr> = ["import".as_ref(), case.as_os_str(), "--json".as_ref()]
        .into_iter()
        .chain(logs.iter().map(|log| log.as_os_str()))
        .collect();
    let output = analyze(&arguments);
    assert!(output.status.success(), "{}", shown(&output));
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for log in added.as_array().expect("a list") {
        assert_eq!((&log["format"], &log["not_understood"]), (&"gemini".into(), &0.into()), "{log:#}");
    }
    let after = report(&case);
    check_owners(&after, &scratch.join("truth"), owners, expected);
    let calls = |report: &Report| -> Vec<String> {
        let mut names: Vec<String> =
            report.calls.iter().filter(|call| call.args.is_some()).map(|call| call.name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(calls(&after), calls(before), "none is counted twice");
    let unnumbered: Vec<_> = after.calls.iter().filter(|call| call.args.is_some() && call.call_id.is_none()).collect();
    assert!(unnumbered.is_empty(), "{unnumbered:#?}");
}

/// Whose everything is that the model's calls touch, where the agent has a sub-agent that makes one of them.
const WITH_A_SUB_AGENT: [(&str, &str); 8] = [
    ("Alone/child", "Alone"),
    ("Alone/grandchild", "Alone"),
    ("First/child", "First"),
    ("First/grandchild", "First"),
    ("Inner/child", "Inner"),
    ("Inner/grandchild", "Inner"),
    ("Second/child", "Second"),
    ("Second/grandchild", "Second"),
];

#[test]
fn claude_codes_hooks() {
    check_coder(
        "claude",
        "@anthropic-ai/claude-code-linux-*/claude",
        &["Alone", "First", "Second", "Written", "Inner"],
        &WITH_A_SUB_AGENT,
    );
}

#[test]
fn codexs_hooks() {
    // The two calls in the middle run at once: the command tells whose each shell is.
    check_coder(
        "codex",
        "@openai/codex-linux-*/vendor/*/bin/codex",
        &["Alone", "First", "Second"],
        &[
            ("Alone/child", "Alone"),
            ("Alone/grandchild", "Alone"),
            ("First/child", "First"),
            ("First/grandchild", "First"),
            ("Second/child", "Second"),
            ("Second/grandchild", "Second"),
        ],
    );
}

#[test]
fn gemini_clis_hooks() {
    // The two in the middle run at once, and a sub-agent's look like its agent's: the command tells whose each shell is.
    check_coder(
        "gemini",
        "@google/gemini-cli/bundle/gemini.js",
        &["Alone", "First", "Second", "Written", "Inner"],
        &WITH_A_SUB_AGENT,
    );
}

#[test]
fn an_agent_that_speaks_opentelemetry() {
    if !ready("OTLP from a real exporter") {
        return;
    }
    let Some(python) = python() else {
        return skip("OTLP from a real exporter", "the packages that `make setup` installs for it are not there");
    };
    let scratch = Scratch::new("otlp");
    let truth = truth(&scratch, &["none", "list", "stat"]);
    let command = [
        python.into_os_string(),
        workspace().join("tests/agents/traced.py").into_os_string(),
        truth.clone().into_os_string(),
    ];
    let rules = ["forged-span", "forged-span"];
    let report = check(&scratch, &["--otlp", "127.0.0.1:0"], &command, &truth, &TRACED, &rules);
    let told: Vec<_> =
        report.calls.iter().map(|call| (call.name.as_str(), call.kind.as_str(), call.args.as_deref())).collect();
    let args = r#"{"path":"/srv"}"#;
    check_journal_alone(&scratch, &truth, &owners(&report, &truth));
    let expected = [
        ("list", "tool", Some(args)),
        ("stat", "tool", Some("{}")),
        ("forged", "tool", None),
        ("put upon", "tool", None),
    ];
    assert_eq!(told[1..], expected, "{told:?}");
}

/// Whose everything is that `traced.py` touches.
const TRACED: [(&str, &str); 7] = [
    ("none/before", "runtime"),
    ("list/own", "list"),
    ("list/child", "list"),
    ("stat/child", "stat"),
    ("stat/forger", "stat"),
    ("none/between", "runtime"),
    ("none/after", "runtime"),
];

#[test]
fn an_agent_of_whose_calls_two_streams_tell() {
    let what = "calls that the SDK and OpenTelemetry tell of";
    if !ready(what) {
        return;
    }
    let Some(python) = python() else {
        return skip(what, "the packages that `make setup` installs for it are not there");
    };
    let scratch = Scratch::new("doubled");
    let truth = truth(&scratch, &["none", "alone", "one", "other"]);
    let command = [
        "env".into(),
        sdk_path(),
        python.into_os_string(),
        workspace().join("tests/agents/doubled.py").into_os_string(),
        truth.clone().into_os_string(),
    ];
    let case = scratch.join("doubled.argus");
    let _alone = one_at_a_time();
    let output = capture(&case, &["--otlp", "127.0.0.1:0"], &[], &command);
    assert!(output.status.success(), "{}", shown(&output));
    let report = report(&case);
    // Each call once, and everything is the one's that was told of that folder.
    let told: Vec<_> = report.calls.iter().map(|call| (call.name.as_str(), call.status.as_deref())).collect();
    assert_eq!(told, [("write", Some("ok")); 3], "{:#?}", report.findings);
    let folder = |call: &Call| {
        let args: serde_json::Value = serde_json::from_str(call.args.as_deref().unwrap_or("null")).expect("JSON");
        args["folder"].as_str().unwrap_or_default().to_owned()
    };
    let expected = [
        ("none/before", "runtime"),
        ("alone/own", "alone"),
        ("alone/child", "alone"),
        ("none/between", "runtime"),
        ("one/own", "one"),
        ("one/child", "one"),
        ("other/own", "other"),
        ("other/child", "other"),
        ("none/after", "runtime"),
    ];
    let expected = expected.map(|(file, owner)| (file.to_owned(), owner.to_owned())).into();
    assert_eq!(owners_by(&report, &truth, folder), expected, "{:#?}", report.findings);
    let differ: Vec<_> = report.findings.iter().filter(|finding| finding.rule == "streams-differ").collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn an_agent_in_a_container() {
    let what = "an agent in a pid namespace";
    let within = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    if !ready(what) {
        return;
    }
    if !run(Command::new(within[0]).args(&within[1..]).arg("true")).status.success() {
        return skip(what, "this machine lets nobody make one");
    }
    let scratch = Scratch::new("contained");
    let truth = truth(&scratch, &["none", "first", "second", "third", "fourth"]);
    let agent = [
        "env".into(),
        sdk_path(),
        "python3".into(),
        workspace().join("tests/agents/contained.py").into_os_string(),
        truth.clone().into_os_string(),
    ];
    let command: Vec<OsString> = within.iter().map(Into::into).chain(agent).collect();
    let expected = [
        ("none/before", "runtime"),
        ("first/own", "first"),
        ("first/child", "first"),
        ("none/between", "runtime"),
        ("second/own", "second"),
        ("second/child", "second"),
        ("third/own", "third"),
        ("fourth/own", "fourth"),
        ("none/after", "runtime"),
    ];
    check(&scratch, &[], &command, &truth, &expected, &[]);
}

/// The SDK, for a command that `env` starts.
fn sdk_path() -> OsString {
    let mut variable = OsString::from("PYTHONPATH=");
    variable.push(workspace().join("capture/sdk/python/src"));
    variable
}

/// Sends a span to an address, and waits until it is taken.
fn send_otlp(address: &str, name: &str) {
    let span = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{:032x}","spanId":"{:016x}","name":"{name}",
        "attributes":[{{"key":"gen_ai.operation.name","value":{{"stringValue":"execute_tool"}}}}],
        "startTimeUnixNano":"{}"}}]}}]}}]}}"#,
        7,
        7,
        std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_nanos()
    );
    let request = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{span}",
        span.len()
    );
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let answer = std::io::read_to_string(stream).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn an_agent_that_runs_already_and_speaks_opentelemetry() {
    let what = "OTLP from an agent that runs already";
    if !ready(what) {
        return;
    }
    let Some(python) = python() else {
        return skip(what, "the packages that `make setup` installs for it are not there");
    };
    let _alone = one_at_a_time();
    let scratch = Scratch::new("otlp-attach");
    let truth = truth(&scratch, &["none", "list", "stat"]);
    let mut agent = Command::new(python)
        .arg(workspace().join("tests/agents/traced.py"))
        .arg(&truth)
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(agent.stdout.take().expect("it is piped")).lines();
    assert_eq!(said.next().expect("it speaks").expect("in UTF-8"), "ready");
    let case = scratch.join("attached.argus");
    let mut capture = as_root(program("argus-capture"))
        .args(["attach".as_ref(), "-o".as_ref(), case.as_os_str()])
        .args(["--pid", &agent.id().to_string(), "--otlp", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the capture starts");
    let mut lines = BufReader::new(capture.stderr.take().expect("it is piped")).lines();
    let mut told = lines.by_ref().map_while(Result::ok);
    let endpoint = told
        .find_map(|line| line.split_once("OTLP is received at ").map(|(_, endpoint)| endpoint.to_owned()))
        .expect("it says where");
    // This test is not followed, and no agent.
    send_otlp(endpoint.trim_start_matches("http://"), "stranger");
    let mut stdin = agent.stdin.take().expect("it is piped");
    stdin.write_all(format!("{endpoint}\n").as_bytes()).expect("the agent reads");
    assert!(agent.wait().expect("it ends").success());
    lines.for_each(drop);
    assert!(capture.wait().expect("it ends with the agent").success());
    let report = report(&case);
    let expected = TRACED.iter().map(|(file, owner)| ((*file).to_owned(), (*owner).to_owned())).collect();
    assert_eq!(owners(&report, &truth), expected, "{:#?}", report.findings);
    let mut found: Vec<&str> = report
        .findings
        .iter()
        .map(|finding| finding.rule.as_str())
        .filter(|rule| ["forged-span", "unfollowed-author"].contains(rule))
        .collect();
    found.sort_unstable();
    assert_eq!(found, ["forged-span", "forged-span", "unfollowed-author"], "{:#?}", report.findings);
}

/// A capture that was killed has no table of spans, and had put every request into the journal when it answered.
#[track_caller]
fn check_journal_alone(scratch: &Scratch, truth: &Path, expected: &BTreeSet<(String, String)>) {
    let case = scratch.join("agent.argus");
    for table in files_beneath(&case.join("spans")).iter().filter(|file| file.extension() == Some("parquet".as_ref())) {
        fs::remove_file(table).expect("the case is the user's");
    }
    let text = fs::read_to_string(case.join("manifest.json")).expect("it is there");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    manifest["end"] = serde_json::Value::Null;
    fs::write(case.join("manifest.json"), manifest.to_string()).expect("the case is the user's");
    assert_eq!(&owners(&report(&case), truth), expected);
}

#[test]
fn an_mcp_server_behind_the_proxy() {
    check_mcp("an MCP server behind the proxy", &[], false);
}

/// Of each call the client's SDK and the proxy tell: that is one call.
#[test]
fn an_mcp_server_behind_the_proxy_of_a_client_that_tells() {
    check_mcp("an MCP server behind the proxy of a client that tells", &[], true);
}

/// The proxy alone, with messages as peers may send them: long, with half a character, of a call that its agent's hook tells
/// of too, and of one of which the server dies.
#[test]
fn mcp_messages_of_every_kind() {
    if !ready("messages of MCP") {
        return;
    }
    let scratch = Scratch::new("mcp-messages");
    let truth = truth(&scratch, &["none", "long", "half", "asked", "hooked", "slow", "next", "last"]);
    let command = [
        "python3".into(),
        workspace().join("tests/agents/messages.py").into_os_string(),
        truth.clone().into_os_string(),
        program("argus-capture").into_os_string(),
    ];
    let names = ["long", "half", "asked", "hooked", "slow", "last"]
        .map(|name| (format!("{name}/own"), format!("mcp__s__{name}")));
    let mut expected: Vec<(&str, &str)> = names.iter().map(|(file, name)| (file.as_str(), name.as_str())).collect();
    // Whether a server is still at what its client does not wait for any more, nobody knows until it has answered what it was
    // asked later.
    expected.extend([("slow/after", "unknown"), ("next/own", "mcp__s__slow|mcp__s__next")]);
    let idle = ["none/after-long", "none/after-half", "none/after-asked", "none/after-hooked", "none/after-next"];
    expected.extend(idle.iter().map(|file| (*file, "runtime")));
    let report = check(&scratch, &[], &command, &truth, &expected, &[]);
    let told: Vec<_> = report.calls.iter().map(|call| (call.name.as_str(), call.status.as_deref())).collect();
    let ok = Some("ok");
    let expected = [
        ("mcp__s__long", ok),
        ("mcp__s__half", ok),
        ("mcp__s__asked", ok),
        ("mcp__s__hooked", ok),
        ("mcp__s__slow", Some("cancelled")),
        ("mcp__s__next", ok),
        ("mcp__s__last", Some("unanswered")),
    ];
    assert_eq!(told, expected, "{:#?}", report.findings);
}

/// As `npx` and `uv run` do: they wait for the server that they started, which has their input and output.
#[test]
fn an_mcp_server_behind_a_launcher() {
    check_mcp("an MCP server behind a launcher", &["sh", "-c", r#"timeout 600 "$@"; exit $?"#, "sh"], false);
}

#[track_caller]
fn check_mcp(what: &str, launcher: &[&str], client_tells: bool) {
    if !ready(what) {
        return;
    }
    let Some(python) = python() else {
        return skip(what, "the packages that `make setup` installs for it are not there");
    };
    let scratch = Scratch::new("mcp");
    let truth = truth(&scratch, &["none", "look", "fail"]);
    let adapter = if client_tells { "ARGUS_ADAPTER=1" } else { "LC_ALL=C" };
    let command: Vec<OsString> = [
        "env".into(),
        sdk_path(),
        adapter.into(),
        python.into_os_string(),
        workspace().join("tests/agents/served.py").into_os_string(),
        truth.clone().into_os_string(),
        program("argus-capture").into_os_string(),
    ]
    .into_iter()
    .chain(launcher.iter().map(Into::into))
    .collect();
    let expected = [
        ("none/before", "runtime"),
        ("look/own", "mcp__files__look"),
        ("look/child", "mcp__files__look"),
        ("none/between", "runtime"),
        ("fail/own", "mcp__files__fail"),
    ];
    let report = check(&scratch, &[], &command, &truth, &expected, &[]);
    let told: Vec<_> = report
        .calls
        .iter()
        .map(|call| {
            let declares: serde_json::Value =
                serde_json::from_str(call.declares.as_deref().unwrap_or("null")).expect("JSON");
            let hint = declares["mcp"]["readOnlyHint"].clone();
            (call.name.as_str(), call.args.as_deref(), call.status.as_deref(), hint)
        })
        .collect();
    let hint = |value: bool, from: &str| serde_json::json!({"value": value, "from": from});
    let differ: Vec<_> = report.findings.iter().filter(|finding| finding.rule == "streams-differ").collect();
    assert!(differ.is_empty(), "{differ:#?}");
    let expected = [
        ("mcp__files__look", Some(r#"{"depth":3}"#), Some("ok"), hint(true, "explicit")),
        ("mcp__files__fail", None, Some("error"), hint(false, "default")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_proxy_changes_nothing() {
    let scratch = Scratch::new("proxy");
    let file = scratch.join("input");
    let odd: Vec<u8> = (0..=255u8).cycle().take(1 << 16).collect();
    let long = [br#"{"id":1,"method":"tools/call","params":"#.as_slice(), &vec![b'['; 20 << 20], b"\n{}\n"].concat();
    for bytes in [b"".as_slice(), b"no end of line", b"{\n\n[1,{}]\r\n\0", &odd, &long] {
        fs::write(&file, bytes).expect("a file can be written");
        for (server, expected, code) in [("cat; echo end >&2; exit 7", bytes, 7), ("exec cat >/dev/null", b"", 0)] {
            let mut command = Command::new(program("argus-capture"));
            command.args(["mcp", "--", "sh", "-c", server]).env("ARGUS_SPAN_LOG", scratch.join("log"));
            let output = run(command.stdin(Stdio::from(fs::File::open(&file).expect("it is there"))));
            assert!(output.stdout == expected, "{} bytes in, {} out", bytes.len(), output.stdout.len());
            let said: &[u8] = if code == 7 { b"end\n" } else { b"" };
            assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(code), said));
        }
    }
    // A server that ends by itself is not waited for, though its client says nothing and goes on.
    let mut command = Command::new(program("argus-capture"));
    let mut proxy =
        command.args(["mcp", "--", "sh", "-c", "kill -9 $$"]).stdin(Stdio::piped()).spawn().expect("it starts");
    let client = proxy.stdin.take();
    assert_eq!(proxy.wait().expect("it ends").code(), Some(128 + 9));
    drop(client);
    let output = run(Command::new(program("argus-capture")).args(["mcp", "--", "/no/such/server"]));
    assert_eq!(output.status.code(), Some(127), "{}", shown(&output));
}

#[test]
fn messengers_are_silent_and_never_in_the_way() {
    let deaf = Scratch::new("deaf");
    let gone = deaf.join("gone.sock").into_os_string();
    // Nobody listens, nobody is there, or nobody ever reads.
    let silent = deaf.join("silent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&silent).expect("a socket can be bound");
    let long = format!(
        r#"{{"hook_event_name":"PreToolUse","tool_use_id":"t","tool_name":"n","tool_input":"{}"}}"#,
        "x".repeat(900_000)
    );
    let whole: [(&[&str], &str); 5] = [
        (&["hook"], ""),
        (&["hook"], "\u{0}{[[[["),
        (&["hook"], &long),
        (&["mark", "start", "x"], ""),
        (&["mark", "end"], ""),
    ];
    for socket in [None, Some(gone.as_os_str()), Some(silent.as_os_str())] {
        for (arguments, input) in whole {
            let mut command = Command::new(program("argus-capture"));
            command.args(arguments).env_remove("ARGUS_SPAN_LOG").env_remove("ARGUS_PARENT").env_remove("ARGUS_SOCKET");
            if let Some(socket) = socket {
                command.env("ARGUS_SOCKET", socket);
            }
            // Through a file, so that nothing here waits for what it does not read.
            let file = deaf.join("input");
            fs::write(&file, input).expect("a file can be written");
            let output = run(command.stdin(Stdio::from(fs::File::open(&file).expect("it is there"))));
            let heard = socket == Some(OsStr::new(&silent)) && arguments.starts_with(&["mark", "start"]);
            assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", shown(&output));
            assert_eq!(!output.stdout.is_empty(), heard, "{arguments:?}: {}", shown(&output));
        }
    }
}
