use super::*;

/// A call of `look` that the process `author` tells of.
fn span(id: &str, parent: Option<&str>, author: i32, (start, end): (u64, u64)) -> Span {
    Span {
        span_id: id.to_owned(),
        parent_id: parent.map(str::to_owned),
        kind: "tool".to_owned(),
        name: "look".to_owned(),
        args: Some(r#"{"depth": 3}"#.to_owned()),
        pid: Some(author),
        start_boot_ns: start,
        end_boot_ns: Some(end),
        source: "socket".to_owned(),
        author_pid: Some(author),
        ..Span::default()
    }
}

/// What a proxy, process 9, tells for its server, process 8, of a call of process 7.
fn proxied(id: &str) -> Span {
    Span {
        name: "mcp__files__look".to_owned(),
        call_id: Some("3".to_owned()),
        args: Some(r#"{"depth":3}"#.to_owned()),
        declares: Some(r#"{"mcp":{"readOnlyHint":{"value":true,"from":"explicit"}}}"#.to_owned()),
        pid: None,
        for_pid: Some(8),
        ..span(id, Some("a"), 9, (110, 190))
    }
}

/// The far sides as `side of call`, in whatever order the spans come.
#[track_caller]
fn check(spans: &[Span], expected: &[&str]) -> Vec<Span> {
    let mut told = spans.to_vec();
    let (sides, differences) = unite(&mut told);
    let shown: Vec<String> = sides.iter().map(|(side, call)| format!("{side} of {call}")).collect();
    assert_eq!(shown, expected);
    assert!(differences.is_empty(), "{differences:?}");
    let mut turned: Vec<Span> = spans.iter().rev().cloned().collect();
    assert_eq!(unite(&mut turned).0, sides);
    told
}

#[test]
fn a_call_and_what_its_server_tells_of_it_are_one() {
    let call = span("a", None, 7, (100, 200));
    let told = check(&[call.clone(), proxied("b")], &["b of a"]);
    assert_eq!(told[0].name, "mcp__files__look", "the name that says whose tool it is");
    assert!(told[0].declares.as_deref().is_some_and(|told| told.contains("readOnlyHint")));
    assert_eq!((told[0].author_pid, told[0].for_pid, told[0].start_boot_ns), (Some(7), None, 100));
    assert_eq!(told[1], proxied("b"), "the other side stays as it was told");
    // A server that traces for itself, beside the proxy and beneath it.
    check(&[call.clone(), proxied("b"), span("c", Some("a"), 8, (120, 180))], &["b of a", "c of a"]);
    check(&[call.clone(), proxied("b"), span("c", Some("b"), 8, (120, 180))], &["b of a", "c of a"]);
    let told = check(&[call, proxied("b"), span("c", Some("a"), 8, (120, 180))], &["b of a", "c of a"]);
    assert_eq!(told[2].parent_id.as_deref(), Some("b"), "of both, the server's own is the inner one");
    // Whose clock is coarse does not change who lies within whom.
    let coarse = Span { start_err_ns: 15, end_err_ns: 15, ..span("c", Some("b"), 8, (120, 180)) };
    let told = check(&[span("a", None, 7, (100, 200)), proxied("b"), coarse], &["b of a", "c of a"]);
    assert_eq!([1, 2].map(|side| told[side].parent_id.as_deref()), [Some("a"), Some("b")]);
}

#[test]
fn what_may_be_another_call_is_one_of_its_own() {
    let call = span("a", None, 7, (100, 200));
    let with = |change: &dyn Fn(&mut Span)| {
        let mut other = proxied("b");
        change(&mut other);
        vec![call.clone(), other]
    };
    check(&with(&|_| {}), &["b of a"]);
    check(&with(&|span| span.args = None), &["b of a"]);
    check(&with(&|span| span.args = Some(r#"{"depth":4}"#.to_owned())), &[]);
    check(&with(&|span| span.name = "mcp__files__list".to_owned()), &[]);
    check(&with(&|span| span.kind = "step".to_owned()), &[]);
    check(&with(&|span| span.parent_id = None), &[]);
    check(&with(&|span| (span.start_boot_ns, span.end_boot_ns) = (300, Some(400))), &[]);
    // One that was tried again.
    check(&[call.clone(), proxied("b"), proxied("c")], &[]);
    // A tool that calls itself.
    check(&[call, span("b", Some("a"), 7, (120, 180))], &[]);
}

#[test]
fn nobody_else_says_what_a_call_declares() {
    let call = Span { args: None, ..span("a", None, 7, (100, 200)) };
    let told = Span { declares: Some(r#"{"hosts":["*"],"mcp":{}}"#.to_owned()), ..proxied("b") };
    let united = check(&[call, told], &["b of a"]);
    assert_eq!((united[0].declares.as_deref(), united[0].args.as_deref()), (None, None));
    // Nor whose tool it is or what that answered, but for who stands between the call and its server.
    let call = span("a", None, 7, (100, 200));
    let named = |id: &str, author: i32| Span {
        name: "mcp__innocent__look".to_owned(),
        result: Some("7".to_owned()),
        ..span(id, Some("a"), author, (110, 190))
    };
    let united = check(&[call, named("b", 9)], &["b of a"]);
    assert_eq!((united[0].name.as_str(), united[0].result.as_deref()), ("look", None));
}
