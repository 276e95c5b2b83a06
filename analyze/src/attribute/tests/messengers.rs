//! Who speaks for another process: hooks, marks of shells, a proxy.

use super::*;

#[test]
fn a_messenger_speaks_for_the_process_that_sent_it() {
    // A hook behind a shell, before and after the call; the second is no part of it.
    let hooked = Scene::new()
        .fork(1_000, AGENT, AGENT, 100)
        .executes(1_001, 100, "dash")
        .fork(1_010, 100, 100, 101)
        .fork(1_100, AGENT, AGENT, 110)
        .fork(1_501, AGENT, AGENT, 150)
        .executes(1_505, 150, "dash")
        .exec(1_506, 150, Some("A"))
        .executes(1_507, 150, "dash")
        .fork(1_511, 150, 150, 151)
        .span("A", (1_020, 1_520), AGENT, 0)
        .reported_by(101, 151);
    let expected = [
        ((AGENT, AGENT, 1_019), "agent"),
        ((AGENT, AGENT, 1_050), "A window"),
        ((110, 110, 9_000), "A lineage"),
        ((AGENT, AGENT, 1_501), "agent"),
        ((150, 150, 1_502), "agent"),
    ];
    check(hooked, &expected, &[]);

    // The hooks of two calls that overlap: each is sent while the other is open, by that one's window alone.
    let overlapping = Scene::new()
        .fork(1_000, AGENT, AGENT, 100)
        .span("A", (1_010, 2_010), AGENT, 0)
        .reported_by(100, 200)
        .fork(1_200, AGENT, AGENT, 120)
        .span("B", (1_210, 2_510), AGENT, 0)
        .reported_by(120, 250)
        .fork(1_501, AGENT, AGENT, 150)
        .fork(2_001, AGENT, AGENT, 200)
        .fork(2_501, AGENT, AGENT, 250);
    let expected = [
        ((AGENT, AGENT, 1_100), "A window"),
        ((150, 150, 9_000), "A|B"),
        ((AGENT, AGENT, 2_100), "B window"),
        ((AGENT, AGENT, 2_600), "agent"),
    ];
    check(overlapping, &expected, &[]);
}

#[test]
fn a_hook_from_a_thread_that_was_made_beside_another_call_is_the_agents() {
    let scene = Scene::new()
        .span("A", (1_000, 3_000), AGENT, 0)
        .reported_by(95, 290)
        .thread(1_500, AGENT, AGENT, 12)
        .span("B", (2_000, 2_500), AGENT, 0)
        .reported_by(190, 240)
        .fork(950, AGENT, AGENT, 95)
        .fork(1_900, AGENT, 12, 190)
        .fork(2_400, AGENT, 12, 240)
        .fork(2_900, AGENT, AGENT, 290);
    check(scene, &[((AGENT, AGENT, 1_200), "A window"), ((AGENT, AGENT, 2_200), "A|B")], &[]);
}

#[test]
fn an_agents_hook_is_no_act_of_the_call_beside_which_it_runs() {
    let with = |shell: &str, argv: &str, file: u64| {
        let first = format!("/usr/bin/{}", shell.split(' ').next().unwrap_or_default());
        let words = |text: &str| text.split(' ').map(|word| word.replace('_', " ")).collect::<Vec<_>>();
        let image = |exe: &str, file, argv| Row {
            kind: Some(Kind::Exec),
            ret: Some(0),
            exe: Some(exe.to_owned()),
            file: Some((1, file)),
            argv,
            ..Row::default()
        };
        let mut scene = Scene::new()
            .span("A", (1_000, 3_000), AGENT, 0)
            .fork(1_500, AGENT, AGENT, 150)
            .row(1_510, 150, 150, image(&first, 3, words(shell)))
            .row(1_600, 150, 150, image("/opt/argus-capture", file, words(argv)));
        scene.manifest.recorder_program =
            Some(argus_schemas::manifest::Program { path: "/opt/argus-capture".to_owned(), dev: 1, inode: 7 });
        scene
    };
    let told = "bash -c '/opt/argus-capture'_hook";
    for (shell, argv, file, owner) in [
        (told, "/opt/argus-capture hook", 7, "agent"),
        ("timeout 9 /opt/argus-capture hook", "/opt/argus-capture hook", 7, "agent"),
        ("timeout 9 sh -c /opt/argus-capture_hook", "/opt/argus-capture hook", 7, "agent"),
        ("sh -c timeout_9_/opt/argus-capture_hook", "/opt/argus-capture hook", 7, "agent"),
        // Another file, another use, or a shell that was told more.
        (told, "/opt/argus-capture hook", 8, "A lineage"),
        (told, "/opt/argus-capture mcp", 7, "A lineage"),
        ("bash -c touch_/w/a;_/opt/argus-capture_hook", "/opt/argus-capture hook", 7, "A lineage"),
        ("sh -c touch_/w/a_/opt/argus-capture_hook", "/opt/argus-capture hook", 7, "A lineage"),
        ("xargs /opt/argus-capture hook", "/opt/argus-capture hook", 7, "A lineage"),
        // A launcher that was told of another program, which finds those words among its arguments.
        ("timeout 9 python3 /w/a.py /opt/argus-capture hook", "/opt/argus-capture hook", 7, "A lineage"),
        ("env -Spython3 /opt/argus-capture hook", "/opt/argus-capture hook", 7, "A lineage"),
        ("sh -c timeout_9_/w/a_/opt/argus-capture_hook", "/opt/argus-capture hook", 7, "A lineage"),
    ] {
        check(with(shell, argv, file), &[((150, 150, 1_550), owner), ((150, 150, 1_650), owner)], &[]);
    }
    // What it starts that is no hook itself may be the call's all the same.
    let started = with(told, "/opt/argus-capture hook", 7).fork(1_550, 150, 150, 155).executes(1_560, 155, "touch");
    check(started, &[((150, 150, 1_650), "agent"), ((155, 155, 1_570), "?")], &[]);
}

#[test]
fn a_proxy_speaks_for_the_server_that_it_started() {
    let scene = Scene::new()
        .fork(500, AGENT, AGENT, 50)
        .fork(600, 50, 50, 60)
        .span("A", (1_000, 2_000), 60, 0)
        .reported_by(50, 50)
        .fork(1_500, 60, 60, 150)
        .fork(2_500, 60, 60, 250);
    let expected = [
        ((AGENT, AGENT, 1_500), "agent"),
        ((50, 50, 1_500), "agent"),
        ((60, 60, 1_500), "A window"),
        ((150, 150, 9_000), "A lineage"),
        ((250, 250, 9_000), "agent"),
    ];
    check(scene, &expected, &[]);
}

#[test]
fn a_call_that_its_server_tells_of_too_owns_both_sides() {
    let served = || {
        Scene::new()
            .fork(500, AGENT, AGENT, 50)
            .fork(600, 50, 50, 60)
            .span("A", (1_000, 2_000), AGENT, AGENT)
            .mark(1_000, AGENT, AGENT, Some("A"))
            .mark(2_000, AGENT, AGENT, None)
            .span("by the proxy", (1_100, 1_900), 60, 0)
            .reported_by(50, 50)
            .side_of("A")
            .fork(1_500, 60, 60, 150)
            .fork(1_950, 60, 60, 195)
    };
    let expected = [
        ((AGENT, AGENT, 1_500), "A thread"),
        ((60, 60, 1_500), "A window"),
        ((150, 150, 9_000), "A lineage"),
        ((195, 195, 9_000), "agent"),
    ];
    check(served(), &expected, &[]);
    // The server tells of it as well: between two that tell of one call there is nothing to decide.
    let both = served().span("by the server", (1_200, 1_800), 60, 60).side_of("A").inside("by the proxy");
    check(both, &expected, &[]);
}

#[test]
fn a_proxy_speaks_for_a_server_behind_a_launcher() {
    let scene = Scene::new()
        .fork(500, AGENT, AGENT, 50)
        .fork(600, 50, 50, 60)
        .executes(601, 60, "npx")
        .fork(700, 60, 60, 70)
        .span("A", (1_000, 2_000), 70, 0)
        .reported_by(50, 50)
        .fork(1_500, 70, 70, 150)
        .fork(1_600, 60, 60, 160);
    let expected = [
        ((60, 60, 1_500), "agent"),
        ((70, 70, 1_500), "A window"),
        ((150, 150, 9_000), "A lineage"),
        ((160, 160, 9_000), "agent"),
    ];
    check(scene, &expected, &[]);
}

#[test]
fn a_messenger_of_another_call_or_process_is_not_believed() {
    let marked = || {
        Scene::new()
            .span("A", (1_000, 5_000), AGENT, AGENT)
            .mark(1_000, AGENT, AGENT, Some("A"))
            .fork(1_500, AGENT, AGENT, 150)
            .executes(1_501, 150, "dash")
    };
    // A tool speaks for the agent: of a call that is none, and of the end of another.
    let forged = marked().fork(1_600, 150, 150, 160).span("F", (1_610, 3_000), AGENT, 0).reported_by(160, 160);
    let expected = [((AGENT, AGENT, 2_000), "A thread"), ((160, 160, 2_000), "A lineage")];
    check(forged, &expected, &["forged-span", "forged-span"]);

    let ended = marked()
        .fork(500, AGENT, AGENT, 50)
        .span("B", (510, 1_710), AGENT, 0)
        .reported_by(50, 170)
        .fork(1_700, 150, 150, 170);
    let expected = [((AGENT, AGENT, 900), "B window"), ((AGENT, AGENT, 6_000), "A thread")];
    check(ended, &expected, &["forged-span"]);

    // Beneath a program that is no shell, and beneath nobody that it names.
    let deep = marked().fork(1_600, 150, 150, 160).executes(1_601, 160, "python3").fork(1_650, 160, 160, 165);
    let deep = deep.span("F", (1_660, 3_000), AGENT, 0).reported_by(165, 165);
    check(deep, &[((AGENT, AGENT, 2_000), "A thread")], &["messenger-contradiction"]);
    let stranger = marked().span("F", (1_660, 3_000), 77, 0).reported_by(150, 150);
    check(stranger, &[((AGENT, AGENT, 2_000), "A thread")], &["messenger-contradiction"]);

    // A call that encloses the span may well send its messengers.
    let nested = marked()
        .fork(1_600, 150, 150, 160)
        .span("S", (1_610, 2_010), 150, 0)
        .inside("A")
        .reported_by(160, 200)
        .fork(1_700, 150, 150, 170)
        .fork(2_001, 150, 150, 200);
    let expected =
        [((150, 150, 1_605), "A lineage"), ((170, 170, 9_000), "S lineage"), ((150, 150, 2_002), "A lineage")];
    check(nested, &expected, &[]);
}

#[test]
fn an_end_may_be_told_of_a_server_that_died_and_after_another_log_told_it() {
    // The proxy tells of it when the server has gone.
    let died = Scene::new()
        .fork(500, AGENT, AGENT, 50)
        .fork(600, 50, 50, 60)
        .span("A", (1_000, 2_000), 60, 0)
        .reported_by(50, 50)
        .fork(1_500, 60, 60, 150)
        .exit(1_900, 60, 60, true);
    check(died, &[((60, 60, 1_200), "A window"), ((150, 150, 9_000), "A lineage")], &[]);
    // A transcript says that it ended before the hook that told of it began.
    let told = Scene::new()
        .fork(1_000, AGENT, AGENT, 100)
        .fork(3_000, AGENT, AGENT, 300)
        .exit(3_500, 300, 300, true)
        .span("A", (1_010, 2_000), AGENT, 0)
        .reported_by(100, 300)
        .that(|span| span.end_received_boot_ns = Some(4_000));
    check(told, &[((AGENT, AGENT, 1_500), "A window"), ((AGENT, AGENT, 2_500), "agent")], &[]);
}
