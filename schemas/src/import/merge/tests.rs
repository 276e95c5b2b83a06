use super::*;
use crate::import::testing::Random;

/// A call that the model named `c1`, as one stream tells it.
fn span(source: &str, id: &str, (start, end): (u64, u64), error: u64) -> Span {
    Span {
        span_id: id.to_owned(),
        call_id: Some("c1".to_owned()),
        kind: "tool".to_owned(),
        name: "ls".to_owned(),
        start_boot_ns: start,
        end_boot_ns: Some(end),
        start_err_ns: error,
        end_err_ns: error,
        source: source.to_owned(),
        author_pid: matches!(source, "socket" | "hook").then_some(7),
        author_uid: matches!(source, "socket" | "hook").then_some(1000),
        received_boot_ns: matches!(source, "socket" | "hook").then_some(end),
        ..Span::default()
    }
}

const SDK: &str = "00f067aa0ba902b7";

/// Each span of the result as `id source start..end`, each difference as `field kept/other`.
fn shown(merged: &Merged) -> (Vec<String>, Vec<String>) {
    let spans = merged.spans.iter().map(|span| {
        let window = window(span);
        format!("{} {} {}..{}", span.span_id, span.source, window.from_ns, window.to_ns)
    });
    let differences = merged.differences.iter().map(|it| format!("{} {}/{}", it.field, it.kept.0, it.other.0));
    (spans.collect(), differences.collect())
}

#[track_caller]
fn check(spans: &[Span], expected: &[&str], differences: &[&str]) {
    let merged = merge(spans.to_vec());
    assert_eq!(shown(&merged), (to_vec(expected), to_vec(differences)));
    // Whatever the order in which they came.
    let mut random = Random::new(spans.len() as u64);
    for _ in 0..20 {
        let mut shuffled = spans.to_vec();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, random.index(at + 1));
        }
        assert_eq!(merge(shuffled), merged);
    }
}

fn to_vec(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn streams_that_tell_of_one_call_become_one_span() {
    let sdk = span("socket", SDK, (100, 200), 0);
    let transcript = span("claude-code", "claude-code:c1", (150, 150), 100);
    check(&[sdk.clone(), transcript.clone()], &["00f067aa0ba902b7 socket 100..200"], &[]);
    let otlp = span("otlp", SDK, (101, 199), 5);
    check(&[transcript, sdk, otlp.clone()], &["00f067aa0ba902b7 socket 100..200"], &[]);
    // An exporter that tries again sends the same twice.
    check(&[otlp.clone(), otlp], &["00f067aa0ba902b7 otlp 96..204"], &[]);
}

#[test]
fn the_strongest_provenance_gives_the_id_whatever_it_is() {
    let strongest_first = ["socket", "otlp", "hook", "file", "codex"];
    for (at, weaker) in strongest_first.iter().enumerate().skip(1) {
        let stronger = strongest_first[at - 1];
        let mut spans = [span(stronger, "a", (100, 200), 10), span(weaker, "b", (100, 200), 0)];
        for span in spans.iter_mut().filter(|span| span.source == "otlp") {
            span.received_boot_ns = Some(300);
        }
        // Narrower instants count, whoever tells them.
        check(&spans, &[&format!("a {stronger} 100..200")], &[]);
        assert_eq!(merge(spans.to_vec()).aliases, BTreeMap::from([("b".to_owned(), "a".to_owned())]));
    }
}

#[test]
fn what_is_not_surely_one_call_stays_two() {
    let sdk = span("socket", SDK, (100, 200), 0);
    let two = |change: &dyn Fn(&mut Span)| {
        let mut other = span("codex", "codex:c1", (120, 180), 10);
        change(&mut other);
        merge(vec![sdk.clone(), other]).spans.len()
    };
    assert_eq!(two(&|_| {}), 1);
    assert_eq!(two(&|span| span.name = "mcp__files__ls".to_owned()), 1);
    assert_eq!(two(&|span| span.name = "rm".to_owned()), 2);
    assert_eq!(two(&|span| span.call_id = Some("c2".to_owned())), 2);
    assert_eq!(two(&|span| span.call_id = None), 2);
    assert_eq!(two(&|span| span.source = "socket".to_owned()), 2);
    assert_eq!(two(&|span| (span.start_boot_ns, span.end_boot_ns) = (300, Some(400))), 2);
    let in_session =
        |name: &str, id: &str, source: &str| Span { session: Some(name.to_owned()), ..span(source, id, (100, 200), 0) };
    let (one, other) = (in_session("s1", "a", "socket"), in_session("s2", "b", "codex"));
    let without = span("otlp", "c", (100, 200), 0);
    assert_eq!(merge(vec![one.clone(), other.clone()]).spans.len(), 2);
    assert_eq!(merge(vec![one.clone(), other, without.clone()]).spans.len(), 3);
    assert_eq!(merge(vec![one, without]).spans.len(), 1);
    let of_trace = |trace: &str, source: &str| Span {
        trace_id: Some(trace.repeat(16)),
        call_id: None,
        ..span(source, SDK, (100, 200), 0)
    };
    assert_eq!(merge(vec![of_trace("ab", "socket"), of_trace("ab", "otlp")]).spans.len(), 1);
    assert_eq!(merge(vec![of_trace("ab", "socket"), of_trace("cd", "otlp")]).spans.len(), 2);
}

#[test]
fn streams_of_one_process_that_share_no_id_are_matched_by_what_they_tell() {
    let told = |source: &str, id: &str, at: (u64, u64), args: Option<&str>| Span {
        call_id: None,
        author_pid: (source != "claude-code").then_some(7),
        args: args.map(str::to_owned),
        ..span(source, id, at, 0)
    };
    let (one, other) = (Some(r#"{"path":"/a"}"#), Some(r#"{"path":"/b"}"#));
    // Neither lies within the other: both listen to the framework, one after the other.
    let sdk = [told("socket", "a", (100, 200), one), told("socket", "b", (150, 250), other)];
    let otlp = [told("otlp", "c", (101, 201), one), told("otlp", "d", (151, 251), other)];
    check(&[sdk.as_slice(), &otlp].concat(), &["a socket 100..200", "b socket 150..250"], &[]);
    // A stream that does not tell arguments tells only one call at a time apart.
    let silent = [told("otlp", "c", (101, 199), None), told("otlp", "d", (151, 249), None)];
    assert_eq!(merge(vec![sdk[0].clone(), silent[0].clone()]).spans.len(), 1);
    assert_eq!(merge([sdk.as_slice(), &silent].concat()).spans.len(), 4);
    // Of another process, of other arguments, of other ids of the model.
    let two = |change: &dyn Fn(&mut Span)| {
        let mut other = otlp[0].clone();
        change(&mut other);
        merge(vec![sdk[0].clone(), other]).spans.len()
    };
    assert_eq!(two(&|_| {}), 1);
    assert_eq!(two(&|span| span.author_pid = Some(8)), 2);
    assert_eq!(two(&|span| span.args = other.map(str::to_owned)), 2);
    assert_eq!(two(&|span| span.name = "rm".to_owned()), 2);
    assert_eq!(merge(vec![with_id(&sdk[0], "c1"), with_id(&otlp[0], "c1")]).spans.len(), 1);
    assert_eq!(merge(vec![with_id(&sdk[0], "c1"), with_id(&otlp[0], "c2")]).spans.len(), 2);
    // A log that was added names no process; whatever was sent might be the word of what its call started.
    let log = told("claude-code", "c", (101, 199), one);
    assert_eq!(merge(vec![sdk[0].clone(), log.clone()]).spans.len(), 2);
    let within = |inner: &Span, outer: &Span| {
        let inner = Span { parent_id: Some(outer.span_id.clone()), ..inner.clone() };
        merge(vec![inner, outer.clone()]).spans.len()
    };
    assert_eq!((within(&log, &sdk[0]), within(&sdk[0], &log)), (1, 2));
    // Within each other by their trace: what one of them is called by OpenTelemetry is done by the SDK's.
    let inner = Span { parent_id: Some("a".to_owned()), ..told("otlp", "c", (110, 190), None) };
    let merged = merge(vec![sdk[0].clone(), inner, silent[1].clone()]);
    assert_eq!(merged.spans.iter().map(|span| span.span_id.as_str()).collect::<Vec<_>>(), ["a", "d"]);
}

fn with_id(span: &Span, call: &str) -> Span {
    Span { call_id: Some(call.to_owned()), ..span.clone() }
}

#[test]
fn a_hook_without_an_id_is_matched_by_what_the_call_says() {
    let says = |span: Span, args: &str| Span { args: Some(args.to_owned()), ..span };
    let hook = |id: &str, window| Span { call_id: None, ..says(span("hook", id, window, 0), r#"{"a":1,"b":2}"#) };
    let log = |id: &str, window| says(span("gemini", id, window, 0), r#"{"b":2, "a":1}"#);
    let joined = merge(vec![hook("h", (100, 200)), log("gemini:c", (90, 210))]);
    assert_eq!(joined.spans[0].call_id.as_deref(), Some("c1"));
    check(&[hook("h", (100, 200)), log("gemini:c", (90, 210))], &["h hook 100..200"], &[]);
    let [one, other] = [hook("h", (100, 200)), hook("i", (300, 400))];
    let logs = [log("gemini:c", (100, 210)), log("gemini:d", (290, 410))];
    let all = [[one, other].as_slice(), &logs].concat();
    check(&all, &["h hook 100..200", "i hook 300..400"], &[]);
    // Two at once, another session, other words, and calls with ids of their own.
    let apart = |spans: &[Span]| assert_eq!(merge(spans.to_vec()).spans.len(), spans.len(), "{spans:#?}");
    apart(&[hook("h", (100, 200)), hook("i", (110, 200)), log("gemini:c", (100, 210)), log("gemini:d", (100, 210))]);
    let session = |span: Span, name: &str| Span { session: Some(name.to_owned()), ..span };
    apart(&[session(hook("h", (100, 200)), "s"), session(log("gemini:c", (100, 210)), "t")]);
    apart(&[hook("h", (100, 200)), says(log("gemini:c", (100, 210)), r#"{"a":1}"#)]);
    let numbered = |span: Span, id: &str| Span { call_id: Some(id.to_owned()), ..span };
    apart(&[numbered(hook("h", (100, 200)), "c2"), log("gemini:c", (100, 210))]);
    // Of a tool that a server has.
    let named = |span: Span, name: &str| Span { name: name.to_owned(), ..span };
    let both = [named(hook("h", (100, 200)), "mcp__a_b__c"), named(log("gemini:c", (100, 200)), "mcp_a_b_c")];
    check(&both, &["h hook 100..200"], &[]);
}

#[test]
fn an_id_that_is_used_again_is_matched_by_time() {
    let sdk = [span("socket", "a", (100, 200), 0), span("socket", "b", (1_000, 1_100), 0)];
    let transcript = [span("codex", "codex:c1", (150, 150), 60), span("codex", "codex:c1#2", (1_050, 1_050), 60)];
    let all = [sdk.as_slice(), &transcript].concat();
    check(&all, &["a socket 100..200", "b socket 1000..1100"], &[]);
    // Where both could be either, neither is.
    let wide = [span("codex", "codex:c1", (600, 600), 600), span("codex", "codex:c1#2", (600, 600), 599)];
    assert_eq!(merge([sdk.as_slice(), &wide].concat()).spans.len(), 4);
}

#[test]
fn contradictions_are_kept_with_both_sides() {
    let ms = 1_000_000;
    let mut sdk = span("socket", SDK, (100 * ms, 200 * ms), 0);
    sdk.status = Some("ok".to_owned());
    sdk.args = Some(r#"{"path":"/","all":true}"#.to_owned());
    let mut otlp = span("otlp", SDK, (150 * ms, 250 * ms), 10);
    otlp.status = Some("error".to_owned());
    otlp.args = Some(r#""{\"all\": true, \"path\": \"/\"}""#.to_owned());
    otlp.result = Some("\"x\"".to_owned());
    let said = [
        "end_boot_ns 200000000 +- 0/250000000 +- 10",
        "start_boot_ns 100000000 +- 0/150000000 +- 10",
        "status ok/error",
    ];
    check(&[sdk.clone(), otlp.clone()], &["00f067aa0ba902b7 socket 100000000..200000000"], &said);
    let merged = merge(vec![sdk.clone(), otlp.clone()]);
    assert_eq!(merged.spans[0].result.as_deref(), Some("\"x\""), "what is missing is filled in");
    assert_eq!(merged.differences[0].other.1, "otlp");
    otlp.args = Some("{}".to_owned());
    assert!(shown(&merge(vec![sdk, otlp])).1.iter().any(|line| line.starts_with("args ")));
    // The same call, told at two times that cannot both be: not joined, and said.
    let (one, other) = (span("socket", "a", (100, 200), 0), span("codex", "b", (300, 400), 0));
    check(&[one, other], &["a socket 100..200", "b codex 300..400"], &["start_boot_ns 100 +- 0/300 +- 0"]);
}

#[test]
fn one_that_tells_more_contradicts_nobody() {
    // An SDK's call within the span of OpenTelemetry that is around it.
    let sdk = span("socket", SDK, (100, 200), 0);
    check(&[sdk.clone(), span("otlp", "b", (50, 250), 10)], &["00f067aa0ba902b7 socket 100..200"], &[]);
    // A hook of a call that was refused, and the transcript, which says so.
    let hook = Span { status: Some(ABANDONED.to_owned()), ..span("hook", SDK, (150, 150), 50) };
    let logged = |status: &str| Span { status: Some(status.to_owned()), ..span("claude-code", "b", (150, 150), 60) };
    check(&[hook.clone(), logged("error")], &["00f067aa0ba902b7 hook 100..200"], &[]);
    let status = |other: Span| merge(vec![hook.clone(), other]).spans[0].status.clone();
    assert_eq!(status(logged("error")).as_deref(), Some(ABANDONED), "nobody knows that it ran");
    assert_eq!(status(logged("ok")).as_deref(), Some("ok"));
    // A hook and a proxy of one call, of which one knows the server's name.
    let told = |source: &str, name: &str| Span { name: name.to_owned(), ..span(source, source, (100, 200), 0) };
    let merged = merge(vec![told("socket", "ls"), told("hook", "mcp__files__ls")]);
    assert_eq!((merged.spans.len(), merged.spans[0].name.as_str()), (1, "mcp__files__ls"));
    assert!(merged.differences.is_empty());
    assert_eq!(merge(vec![told("socket", "mcp__a__ls"), told("hook", "mcp__b__ls")]).differences.len(), 1);
    // What encloses it is a matter of each trace.
    let beneath = |source: &str, parent: u64, trace: Option<&str>| Span {
        parent_id: Some(format!("{parent:016x}")),
        trace_id: trace.map(|trace| trace.repeat(16)),
        ..span(source, source, (100, 200), 0)
    };
    let differ = |one: Option<&str>, other: Option<&str>| {
        merge(vec![beneath("socket", 1, one), beneath("otlp", 2, other)]).differences.len()
    };
    let differences = [differ(Some("ab"), None), differ(Some("ab"), Some("cd")), differ(Some("ab"), Some("ab"))];
    assert_eq!(differences, [0, 0, 1]);
}

#[test]
fn results_of_two_shapes_are_not_compared() {
    let differ = |one: &str, other: &str| {
        let told = |source: &str, result: &str| Span {
            result: Some(result.to_owned()),
            ..span(source, source, (100, 200), 0)
        };
        !merge(vec![told("hook", one), told("claude-code", other)]).differences.is_empty()
    };
    assert!(!differ(r#"{"stdout":"a\nb","stderr":"","interrupted":false}"#, r#""a\nb""#));
    assert!(!differ(r#"{"type":"create","filePath":"/a"}"#, r#""File created""#));
    assert!(!differ(r#""a""#, r#"[{"type":"text","text":"a"}]"#));
    assert!(!differ(r#""a\nb""#, r#""b""#));
    assert!(!differ(r#"{"a":"x","b":"y"}"#, r#"{"a":"x"}"#));
    assert!(differ(r#""ok""#, r#""not ok""#));
    assert!(differ(r#""deleted 5""#, r#""deleted 50""#));
    assert!(differ(r#""a""#, r#""""#));
    assert!(differ(r#"{"a":"x"}"#, r#"{"a":"y"}"#));
}

#[test]
fn nobody_else_tells_when_a_call_was_or_takes_its_id() {
    let sdk = span("socket", SDK, (100, 200), 10);
    let forged = Span { author_pid: Some(99), ..span("socket", SDK, (140, 150), 0) };
    let merged = merge(vec![sdk.clone(), forged]);
    assert_eq!(merged.spans.len(), 2, "both stay, for the analyser to name");
    let proxy = Span { author_pid: Some(99), ..span("mcp", "b", (105, 195), 0) };
    let merged = merge(vec![sdk, proxy]);
    assert_eq!(merged.spans.len(), 1);
    assert_eq!((window(&merged.spans[0]).from_ns, window(&merged.spans[0]).to_ns), (90, 210));
}

#[test]
fn what_encloses_follows_the_id_that_was_kept() {
    let sdk = span("socket", SDK, (100, 200), 0);
    let transcript = span("claude-code", "claude-code:c1", (150, 150), 100);
    let mut agent = span("claude-code", "claude-code:agent:a", (150, 150), 40);
    (agent.kind, agent.call_id, agent.parent_id) = ("agent".to_owned(), None, Some("claude-code:c1".to_owned()));
    let merged = merge(vec![agent, transcript, sdk]);
    let agent = merged.spans.iter().find(|span| span.kind == "agent").expect("the agent");
    assert_eq!(agent.parent_id.as_deref(), Some(SDK));
    // One stream nests two spans that another tells as one.
    let inner = Span { parent_id: Some(SDK.to_owned()), ..span("otlp", "1111111111111111", (110, 190), 0) };
    let merged = merge(vec![span("socket", SDK, (100, 200), 0), inner]);
    assert_eq!((merged.spans.len(), merged.spans[0].parent_id.clone()), (1, None));
}

/// Random streams of one run: each tells some of the calls, in its own words.
#[test]
fn merging_loses_nothing_counts_nothing_twice_and_can_be_repeated() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let calls: Vec<(u64, u64)> = (0..1 + random.below(12))
            .map(|_| {
                let start = random.below(10_000);
                (start, start + random.below(2_000))
            })
            .collect();
        let mut told = vec![false; calls.len()];
        let mut spans = Vec::new();
        for source in ["socket", "otlp", "hook", "claude-code"] {
            for (number, (start, end)) in calls.iter().enumerate() {
                if random.below(3) == 0 {
                    continue;
                }
                told[number] = true;
                let error = random.below(200);
                let off = |at: u64, random: &mut Random| (at + random.below(2 * error + 1)).saturating_sub(error);
                let at = (off(*start, &mut random), off(*end, &mut random));
                let mut one = span(source, &format!("{source}:{number}"), at, error);
                one.call_id = Some(format!("call {number}"));
                one.session = (random.below(2) == 0).then(|| "s".to_owned());
                spans.push(one);
            }
        }
        let merged = merge(spans.clone());
        let calls: BTreeSet<_> = merged.spans.iter().map(|span| span.call_id.clone()).collect();
        assert_eq!(calls.len(), told.iter().filter(|told| **told).count(), "seed {seed}: every call is there");
        assert_eq!(merged.spans.len(), calls.len(), "seed {seed}: once");
        assert!(merged.differences.is_empty(), "seed {seed}: {:?}", merged.differences);
        for span in &spans {
            let id = merged.aliases.get(&span.span_id).unwrap_or(&span.span_id);
            assert!(merged.spans.iter().any(|kept| kept.span_id == *id), "seed {seed}: {id} can be found");
        }
        let again = merge(merged.spans.clone());
        assert_eq!((again.spans, again.aliases.len()), (merged.spans.clone(), 0), "seed {seed}");
        for at in (1..spans.len()).rev() {
            spans.swap(at, random.index(at + 1));
        }
        assert_eq!(merge(spans), merged, "seed {seed}: the order makes no difference");
    }
}

/// Spans whose ids, names, sessions and times collide at random: less is certain, and the same holds.
#[test]
fn no_collision_breaks_it() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let spans: Vec<Span> = (0..random.below(10))
            .map(|_| {
                let source = ["socket", "otlp", "hook", "codex"][random.index(4)];
                let start = random.below(50);
                let mut one = span(
                    source,
                    &format!("id{}", random.below(6)),
                    (start, start + random.below(50)),
                    random.below(20),
                );
                one.call_id = (random.below(4) > 0).then(|| format!("c{}", random.below(2)));
                one.name = ["ls", "rm"][random.index(2)].to_owned();
                one.session = [None, Some("s1".to_owned()), Some("s2".to_owned())][random.index(3)].clone();
                one.trace_id = [None, None, Some("t1".to_owned())][random.index(3)].clone();
                one.parent_id = (random.below(2) == 0).then(|| format!("id{}", random.below(6)));
                one.author_pid = [None, Some(1), Some(2)][random.index(3)];
                one.end_boot_ns = one.end_boot_ns.filter(|_| random.below(4) > 0);
                one
            })
            .collect();
        let merged = merge(spans.clone());
        let ids = |spans: &[Span]| spans.iter().map(|span| span.span_id.clone()).collect::<BTreeSet<_>>();
        for id in ids(&spans) {
            let now = merged.aliases.get(&id).unwrap_or(&id);
            assert!(ids(&merged.spans).contains(now), "seed {seed}: {id} can be found");
        }
        let mut shuffled = spans;
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, random.index(at + 1));
        }
        assert_eq!(merge(shuffled), merged, "seed {seed}: the order makes no difference");
    }
}

/// Some models count their calls from 0 in every turn.
#[test]
fn many_calls_with_one_id_are_matched_in_little_time() {
    let calls = 20_000;
    let told = |source: &str, error: u64| {
        (0..calls)
            .map(|number| span(source, &format!("{source}:{number}"), (number * 100, number * 100 + 50), error))
            .collect()
    };
    let streams: [Vec<Span>; 2] = [told("socket", 0), told("codex", 20)];
    let merged = merge(streams.concat());
    assert_eq!((merged.spans.len() as u64, merged.aliases.len() as u64), (calls, calls));
    // And where each may be any of them.
    let alike: Vec<Span> = (0..calls).map(|number| span("codex", &format!("codex:{number}"), (0, 50), 0)).collect();
    assert_eq!(merge([alike, vec![span("socket", SDK, (10, 20), 0)]].concat()).spans.len() as u64, calls + 1);
}
