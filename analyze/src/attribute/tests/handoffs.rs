//! Whose the work of a process is that others handed something.

use super::*;

/// What is read or written, from when to when.
type Times = (u64, u64);

impl Scene {
    fn uses(mut self, pid: i32, (boot_ns, last_ns): Times, row: ends::Row) -> Scene {
        self.uses.push(ends::Row {
            event_id: 1_000 + self.uses.len() as u64,
            kind: row.kind.or(Some(Kind::Close)),
            boot_ns,
            last_ns: Some(last_ns),
            process: Some(key(pid)),
            tid: Some(pid),
            ..row
        });
        self
    }

    fn pipe(self, inode: u64, (writer, written): (i32, Times), (reader, read): (i32, Times)) -> Scene {
        let end = |bytes_in, bytes_out| ends::Row {
            dev: Some(1),
            inode: Some(inode),
            mode: Some(0o010_600),
            bytes_in,
            bytes_out,
            ..ends::Row::default()
        };
        self.uses(writer, written, end(0, 5)).uses(reader, read, end(5, 0))
    }

    /// One side of a connection: it sends and receives.
    fn speaks(self, pid: i32, times: Times, family: &str, proto: &str, row: ends::Row) -> Scene {
        let (family, proto) = (Some(family.to_owned()), Some(proto.to_owned()));
        self.uses(pid, times, ends::Row { family, proto, bytes_in: 5, bytes_out: 5, ..row })
    }

    /// A request and its answer through a Unix socket at a path.
    fn asks(self, (client, asked): (i32, Times), (server, served): (i32, Times)) -> Scene {
        let to = |target: i32| ends::Row { target_pid: Some(target), ..ends::Row::default() };
        let named = ends::Row { path: Some("/s".to_owned()), ..to(server) };
        self.speaks(client, asked, "unix", "stream", named).speaks(server, served, "unix", "stream", to(client))
    }
}

/// T1 starts process 110, and T2 comes after it.
fn one_after_the_other() -> Scene {
    Scene::new().span("T1", (1_000, 2_000), AGENT, AGENT).fork(1_100, AGENT, AGENT, 110).span(
        "T2",
        (3_000, 4_000),
        AGENT,
        AGENT,
    )
}

#[test]
fn what_is_fed_by_another_call_is_no_more_the_starters_alone() {
    // By the agent itself, and by a child of the other call; what it forks then has that from it, what it forked before
    // has not.
    let fed = one_after_the_other().fork(1_500, 110, 110, 150).fork(3_200, 110, 110, 320).pipe(
        7,
        (AGENT, (3_100, 3_100)),
        (110, (1_200, 3_100)),
    );
    let expected = [
        ((110, 110, 1_300), "T1 lineage"),
        ((110, 110, 2_500), "T1 lineage"),
        ((110, 110, 3_300), "T1|T2"),
        ((110, 110, 9_000), "T1|T2"),
        ((320, 320, 9_000), "T1|T2"),
        ((150, 150, 9_000), "T1 lineage"),
        ((AGENT, AGENT, 3_300), "T2 window"),
    ];
    check(fed, &expected, &[]);
    let by_child =
        one_after_the_other().fork(3_050, AGENT, AGENT, 305).pipe(7, (305, (3_100, 3_100)), (110, (3_100, 3_100)));
    check(by_child, &[((110, 110, 3_050), "T1 lineage"), ((110, 110, 3_200), "T1|T2")], &[]);

    // Its own call's input changes nothing, nor does a pipe that only its own processes use, nor one that it never read.
    for (writer, reader) in
        [((AGENT, (1_200, 1_200)), (110, (1_200, 1_200))), ((110, (3_100, 3_100)), (150, (3_100, 3_100)))]
    {
        let scene = one_after_the_other().fork(1_500, 110, 110, 150).pipe(7, writer, reader);
        check(scene, &[((110, 110, 3_500), "T1 lineage"), ((150, 150, 3_500), "T1 lineage")], &[]);
    }
    let read_before = one_after_the_other().pipe(7, (AGENT, (3_100, 3_100)), (110, (1_200, 1_500)));
    check(read_before, &[((110, 110, 3_500), "T1 lineage")], &[]);
    // By a process that did not live yet, through what cannot be told from what was read before.
    let unborn =
        one_after_the_other().fork(3_050, AGENT, AGENT, 305).pipe(7, (305, (3_100, 3_100)), (110, (1_200, 1_500)));
    check(unborn, &[((110, 110, 1_300), "T1 lineage"), ((110, 110, 3_500), "T1 lineage")], &[]);
    let another = one_after_the_other().pipe(7, (AGENT, (3_100, 3_100)), (AGENT, (3_100, 3_100))).pipe(
        8,
        (110, (3_100, 3_100)),
        (AGENT, (3_100, 3_100)),
    );
    check(another, &[((110, 110, 3_500), "T1 lineage")], &[]);
}

#[test]
fn a_copy_that_a_fork_server_makes_says_itself_whom_it_works_for() {
    // The agent starts a server outside any call, which is asked for a process by one call, and by the next.
    let scene = || {
        Scene::new()
            .fork(500, AGENT, AGENT, 50)
            .span("A", (1_000, 2_000), AGENT, AGENT)
            .span("B", (3_000, 4_000), AGENT, AGENT)
            .pipe(7, (AGENT, (1_100, 1_100)), (50, (1_100, 1_100)))
            .pipe(8, (AGENT, (3_100, 3_100)), (50, (3_100, 3_100)))
            .fork(3_200, 50, 50, 320)
    };
    check(scene(), &[((320, 320, 3_300), "A|B")], &[]);
    let said = scene().mark(3_250, 320, 320, Some("B"));
    check(said, &[((320, 320, 3_220), "A|B"), ((320, 320, 3_300), "B thread")], &[]);
    // It may not know itself, also where the server was asked outside any call.
    let unsure = Scene::new()
        .fork(500, AGENT, AGENT, 50)
        .span("A", (1_000, 2_000), AGENT, AGENT)
        .fork(1_200, 50, 50, 120)
        .mark(1_250, 120, 120, Some("A"))
        .how("inherited")
        .mark(1_400, 120, 120, None)
        .how("unsure");
    check(unsure, &[((120, 120, 1_300), "A lineage"), ((120, 120, 1_500), "?")], &[]);
    // Another program than the server's is not the agent's any more.
    let program = scene().executes(3_240, 320, "python3").mark(3_250, 320, 320, Some("B"));
    check(program, &[((320, 320, 3_300), "A|B")], &["mark-contradiction"]);
}

#[test]
fn a_program_that_only_one_call_names_is_carried_out_for_that_one() {
    let told = |path: &str| format!(r#"{{"command": "touch {path}"}}"#);
    let scene = |read: u64, path: &str| {
        let (one, other) = (told("/w/a"), told("/w/b"));
        Scene::new()
            .span("A", (1_000, 3_000), AGENT, AGENT)
            .that(|span| span.args = Some(one))
            .span("B", (1_000, 3_000), AGENT, 11)
            .that(|span| span.args = Some(other))
            .thread(150, AGENT, AGENT, 11)
            .fork(1_100, AGENT, AGENT, 110)
            .fork(1_160, AGENT, 11, 116)
            .pipe(7, (116, (1_200, 1_200)), (110, (1_200, read)))
            .runs(1_500, 110, &format!("touch {path}"))
    };
    // What it goes on reading may be another order.
    for (read, path, owner) in
        [(1_300, "/w/a", "A argument"), (1_300, "/w/b", "B argument"), (1_700, "/w/a", "A|B"), (1_300, "/w/c", "A|B")]
    {
        check(scene(read, path), &[((110, 110, 1_400), "A|B"), ((110, 110, 1_600), owner)], &[]);
    }
}

#[test]
fn what_is_not_counted_may_go_through_until_the_process_ends() {
    let pipe = |row: ends::Row| ends::Row { dev: Some(1), inode: Some(7), mode: Some(0o010_600), ..row };
    let (reads, writes) = (ends::Row { bytes_in: 5, ..ends::Row::default() }, (3_100, 3_100));
    let uncounted = ends::Row { uncounted_in: true, ..ends::Row::default() };
    let sends = ends::Row { bytes_out: 5, ..ends::Row::default() };
    let read_so = one_after_the_other().uses(AGENT, writes, pipe(sends)).uses(110, (1_200, 1_200), pipe(uncounted));
    check(read_so, &[((110, 110, 2_500), "T1 lineage"), ((110, 110, 3_300), "T1|T2")], &[]);
    let uncounted = ends::Row { uncounted_out: true, ..ends::Row::default() };
    let written_so =
        one_after_the_other().uses(AGENT, (3_050, 3_050), pipe(uncounted)).uses(110, (1_200, 3_900), pipe(reads));
    check(written_so, &[((110, 110, 2_500), "T1 lineage"), ((110, 110, 3_300), "T1|T2")], &[]);
}

#[test]
fn what_the_agent_feeds_outside_any_call_is_nobodys() {
    let late = one_after_the_other().pipe(7, (AGENT, (2_500, 2_500)), (110, (1_200, 2_500)));
    check(late, &[((110, 110, 2_400), "?"), ((110, 110, 1_500), "T1 lineage")], &[]);
    // While the call is open, the agent's other threads may still write for it.
    let open = Scene::new()
        .thread(150, AGENT, AGENT, 11)
        .span("T1", (1_000, 2_000), AGENT, AGENT)
        .mark(1_000, AGENT, 11, None)
        .fork(1_100, AGENT, AGENT, 110)
        .pipe(7, (11, (1_200, 1_200)), (110, (1_200, 1_200)));
    check(open, &[((110, 110, 1_500), "T1 lineage")], &[]);
}

#[test]
fn what_a_program_answers_to_the_agent_that_started_it_is_no_order() {
    // A server that reports its own calls, as one behind a proxy does, and its client.
    let scene = Scene::new().fork(500, AGENT, AGENT, 50).span("T1", (1_000, 2_000), 50, 50).pipe(
        7,
        (50, (1_100, 1_100)),
        (AGENT, (900, 1_100)),
    );
    check(scene, &[((50, 50, 1_500), "T1 window"), ((AGENT, AGENT, 1_500), "agent")], &[]);
}

#[test]
fn what_the_agent_started_for_itself_is_the_calls_that_hand_it_work() {
    let scene = |calls: u64| {
        let mut scene = Scene::new().fork(500, AGENT, AGENT, 50);
        for number in 1..=calls {
            let at = number * 1_000;
            scene = scene.span(&format!("T{number}"), (at, at + 500), AGENT, AGENT);
            scene = scene.pipe(7, (AGENT, (at + 100, at + 100)), (50, (1_100, at + 100)));
        }
        scene
    };
    let one = [
        ((50, 50, 900), "agent"),
        ((50, 50, 1_200), "T1 handoff"),
        // It may be at it still, or at something of its own.
        ((50, 50, 1_600), "?"),
    ];
    check(scene(1), &one, &[]);
    let two = [((50, 50, 1_200), "T1 handoff"), ((50, 50, 2_200), "T1|T2"), ((50, 50, 2_800), "T1|T2")];
    check(scene(2), &two, &[]);
    let newest: Vec<String> = (1..=32).map(|number| format!("T{number}")).collect();
    check(scene(40), &[((50, 50, 32_200), &newest.join("|")), ((50, 50, 33_200), "?")], &[]);
}

#[test]
fn what_was_left_for_a_reader_and_what_answers_it_is_no_handoff() {
    // T2's process reads what T1's late one writes.
    let left =
        one_after_the_other().fork(3_050, AGENT, AGENT, 305).pipe(7, (110, (3_100, 3_100)), (305, (3_100, 3_100)));
    check(left, &[((305, 305, 3_500), "T2 lineage"), ((110, 110, 3_500), "T1 lineage")], &[]);
    // T2's process asks T1's: the one that is asked may be either's, the one that is answered is its own call's.
    let asked = one_after_the_other().fork(3_050, AGENT, AGENT, 305).asks((305, (3_100, 3_200)), (110, (3_100, 3_200)));
    check(asked, &[((305, 305, 3_500), "T2 lineage"), ((110, 110, 3_500), "T1|T2")], &[]);
    // The answer to one who waited for it since before the call began is that call's order: a worker of T1 that asks a
    // broker for its next task.
    let broker = Scene::new()
        .fork(500, AGENT, AGENT, 50)
        .span("T1", (1_000, 2_000), AGENT, AGENT)
        .fork(1_100, AGENT, AGENT, 110)
        .asks((110, (1_200, 3_300)), (50, (1_200, 3_300)))
        .span("T2", (3_000, 4_000), AGENT, AGENT)
        .asks((AGENT, (3_200, 3_200)), (50, (3_200, 3_200)));
    check(broker, &[((110, 110, 1_500), "T1 lineage"), ((110, 110, 3_500), "T1|T2"), ((50, 50, 3_500), "T1|T2")], &[]);
}

#[test]
fn every_way_in_is_a_way_to_hand_something_over() {
    let port = |local, remote, accepted| ends::Row {
        local_port: Some(local),
        remote_port: Some(remote),
        accepted,
        ..ends::Row::default()
    };
    let kind = |kind, row| ends::Row { kind: Some(kind), ..row };
    let at = (3_100, 3_100);
    let named = |path: &str, mode| ends::Row { path: Some(path.to_owned()), mode: Some(mode), ..ends::Row::default() };
    let socket = |inode| ends::Row { inode: Some(inode), mode: Some(0o140_777), ..ends::Row::default() };
    let base = one_after_the_other;
    let unix = |proto: &str, row| ends::Row { family: Some("unix".into()), proto: Some(proto.into()), ..row };
    let with = |socket, row| ends::Row { socket: Some(socket), ..row };
    let (early, to) = ((1_200, 1_200), |target: i32| ends::Row { target_pid: Some(target), ..ends::Row::default() });
    let multipath = |row| ends::Row { family: Some("inet".into()), proto: Some("262".into()), ..row };
    let scenes = [
        base().speaks(AGENT, at, "inet", "tcp", port(4_000, 80, false)).speaks(
            110,
            at,
            "inet",
            "tcp",
            port(80, 4_000, true),
        ),
        base()
            .uses(
                110,
                (1_200, 1_200),
                kind(
                    Kind::Bind,
                    ends::Row { family: Some("inet".into()), proto: Some("udp".into()), ..port(53, 0, false) },
                ),
            )
            .speaks(110, at, "inet", "udp", port(53, 0, false))
            .speaks(AGENT, at, "inet", "udp", kind(Kind::Send, port(4_000, 53, false))),
        base()
            .uses(
                110,
                (1_200, 1_200),
                kind(
                    Kind::Bind,
                    ends::Row { family: Some("unix".into()), proto: Some("dgram".into()), ..named("/d", 0) },
                ),
            )
            .speaks(110, at, "unix", "dgram", ends::Row::default())
            .speaks(AGENT, at, "unix", "dgram", kind(Kind::Send, named("/d", 0))),
        base()
            .uses(AGENT, (1_050, 1_050), kind(Kind::Pipe, socket(21)))
            .uses(AGENT, (1_050, 1_050), kind(Kind::Pipe, socket(22)))
            .speaks(AGENT, at, "unix", "stream", socket(21))
            .speaks(110, at, "unix", "stream", socket(22)),
        // A port that was never bound, of a worker that asked first; UDP-Lite.
        base().speaks(110, at, "inet", "udp", port(5_000, 53, false)).speaks(
            AGENT,
            at,
            "inet",
            "udp",
            kind(Kind::Send, port(53, 5_000, false)),
        ),
        base().speaks(110, at, "inet", "136", port(53, 0, false)).speaks(
            AGENT,
            at,
            "inet",
            "136",
            kind(Kind::Send, port(4_000, 53, false)),
        ),
        // Multipath TCP, asked and asking.
        base()
            .uses(AGENT, at, kind(Kind::Connect, multipath(with(9, port(4_000, 80, false)))))
            .speaks(AGENT, at, "inet", "262", with(9, port(4_000, 80, false)))
            .speaks(110, at, "inet", "262", with(10, port(80, 4_000, false))),
        base()
            .uses(110, early, kind(Kind::Connect, multipath(with(9, port(4_000, 80, false)))))
            .speaks(110, at, "inet", "262", with(9, port(4_000, 80, false)))
            .speaks(AGENT, at, "inet", "262", with(10, port(80, 4_000, false))),
        // A name that was bound relative, or that the socket was given later; a socket that another one bound.
        base()
            .uses(110, early, kind(Kind::Bind, unix("dgram", named("d", 0))))
            .speaks(110, at, "unix", "dgram", ends::Row::default())
            .speaks(AGENT, at, "unix", "dgram", kind(Kind::Send, named("/w/d", 0))),
        base()
            .fork(1_150, AGENT, AGENT, 115)
            .uses(115, early, kind(Kind::Bind, unix("dgram", named("/d", 0))))
            .uses(110, early, kind(Kind::FdReceive, unix("dgram", ends::Row::default())))
            .speaks(110, at, "unix", "dgram", ends::Row::default())
            .speaks(AGENT, at, "unix", "dgram", kind(Kind::Send, named("/d", 0))),
        // A connection that a broker accepted, and passed on.
        base()
            .fork(1_150, AGENT, AGENT, 115)
            .uses(110, early, kind(Kind::FdReceive, unix("stream", to(AGENT))))
            .speaks(110, at, "unix", "stream", to(AGENT))
            .speaks(AGENT, at, "unix", "stream", ends::Row { target_pid: Some(115), ..named("/s", 0) }),
        base().uses(AGENT, at, ends::Row { bytes_out: 5, ..named("/dev/pts/ptmx", 0o020_666) }).uses(
            110,
            at,
            ends::Row { bytes_in: 5, ..named("/dev/pts/3", 0o020_620) },
        ),
    ];
    for scene in scenes {
        check(scene, &[((110, 110, 3_050), "T1 lineage"), ((110, 110, 3_500), "T1|T2")], &[]);
    }
}

#[test]
fn doubt_is_handed_on() {
    // T2's client asks T1's server, which writes to T1's shell, whose child T1 had started before.
    let chain = one_after_the_other()
        .fork(1_200, AGENT, AGENT, 120)
        .fork(3_050, AGENT, AGENT, 305)
        .asks((305, (3_100, 3_200)), (120, (3_100, 3_200)))
        .pipe(7, (120, (3_150, 3_150)), (110, (3_150, 3_150)));
    check(chain, &[((120, 120, 3_300), "T1|T2"), ((110, 110, 3_300), "T1|T2")], &[]);
    // Whoever waits for a program acts on what that was told.
    let waited = one_after_the_other()
        .fork(1_200, 110, 110, 120)
        .pipe(7, (AGENT, (3_100, 3_100)), (120, (3_100, 3_100)))
        .exit(3_200, 120, 120, true);
    check(waited, &[((110, 110, 3_150), "T1 lineage"), ((110, 110, 3_300), "T1|T2")], &[]);
}

#[test]
fn of_the_calls_that_fed_a_process_an_open_one_may_name_what_it_runs() {
    let told = |first: &str, second: &str| {
        Scene::new()
            .span("T1", (1_000, 2_000), AGENT, AGENT)
            .told(first)
            .fork(1_100, AGENT, AGENT, 110)
            .span("T2", (3_000, 4_000), AGENT, AGENT)
            .told(second)
            .pipe(7, (AGENT, (3_100, 3_100)), (110, (1_200, 3_100)))
            .fork(3_200, 110, 110, 320)
            .runs(3_210, 320, "touch /w/b")
    };
    let other = "{'command':'touch /w/a'}";
    let own = "{'command':'touch /w/b'}";
    check(told(other, own), &[((320, 320, 3_300), "T2 argument"), ((110, 110, 3_300), "T1|T2")], &[]);
    check(told(own, own), &[((320, 320, 3_300), "T1|T2")], &[]);
    check(told(other, other), &[((320, 320, 3_300), "T1|T2")], &[]);
    // The starter had returned: that it was told of this once says nothing of who wants it now.
    check(told(own, other), &[((320, 320, 3_300), "T1|T2")], &[]);
}

#[test]
fn a_hole_in_the_record_leaves_in_doubt_who_was_fed() {
    let lost = |kinds: &[&str], from: u64, to: u64| {
        let mut scene = one_after_the_other().exit(5_000, 110, 110, true);
        scene.manifest.losses.push(Loss {
            cause: "sequence_gap".to_owned(),
            count: 3,
            cpu: Some(0),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            from_boot_ns: from,
            to_boot_ns: to,
        });
        scene
    };
    // The second call may have fed what the first one started, and its record may be what was lost.
    let doubtful = [((110, 110, 1_500), "T1 lineage"), ((110, 110, 3_000), "?"), ((110, 110, 4_500), "?")];
    check(lost(&["open", "close"], 4_400, 4_600), &doubtful, &[]);
    check(lost(&[], 3_500, 3_600), &doubtful, &[]);
    let sure = [((110, 110, 1_500), "T1 lineage"), ((110, 110, 4_500), "T1 lineage")];
    check(lost(&["open"], 4_400, 4_600), &sure, &[]);
    check(lost(&[], 2_100, 2_900), &sure, &[]);
    check(lost(&[], 5_001, 5_100), &sure, &[]);
}
