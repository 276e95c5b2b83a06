//! Spans that came over TCP: from the process itself, from one that sends on what others told, or from who knows where.

use super::*;

/// Says that the last span came over TCP from this process, or from one that was not followed.
fn sent_by(scene: Scene, sender: Option<i32>, received: u64) -> Scene {
    scene.that(|span| {
        span.author_address = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 5_000)));
        (span.author_pid, span.received_boot_ns) = (sender, Some(received));
    })
}

#[test]
fn the_sender_decides_what_an_exporter_may_tell() {
    // Process 50 belongs to the agent: a collector. Process 150 is of the call A.
    let scene = || {
        Scene::new()
            .fork(500, AGENT, AGENT, 50)
            .span("A", (1_000, 2_000), AGENT, AGENT)
            .fork(1_500, AGENT, AGENT, 150)
            .span("B", (3_000, 4_000), AGENT, 0)
    };
    let during = (AGENT, AGENT, 3_500);
    for (sender, received, expected, rules) in [
        (Some(AGENT), 4_100, "B window", &[][..]),
        (Some(50), 4_100, "B window", &[]),
        (Some(150), 4_100, "agent", &["forged-span"]),
        (None, 4_100, "agent", &["unfollowed-author"]),
    ] {
        check(sent_by(scene(), sender, received), &[((150, 150, 9_000), "A lineage"), (during, expected)], rules);
        // Without a process of its own that it names, a span is of the process that sent it.
        let unnamed = sent_by(scene(), sender, received).that(|span| span.pid = None);
        let expected = if sender == Some(AGENT) { "B window" } else { "agent" };
        check(unnamed, &[((150, 150, 9_000), "A lineage"), (during, expected)], rules);
    }
}

#[test]
fn a_tools_own_process_may_tell_of_what_is_beneath_the_tool() {
    let scene = Scene::new()
        .span("A", (1_000, 5_000), AGENT, AGENT)
        .fork(1_500, AGENT, AGENT, 150)
        .span("S", (2_000, 3_000), 150, 0)
        .inside("A");
    check(sent_by(scene, Some(150), 3_100), &[((150, 150, 2_500), "S window"), ((150, 150, 3_500), "A lineage")], &[]);
}
