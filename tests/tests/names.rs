//! Names of addresses, however they were found out: real name servers, resolvers and TLS clients, in a network of the
//! test's own.

use argus_schemas::report::{Effect, Facet, Report};
use argus_tests::{Scratch, all_effects, can_capture, capture, on_path, one_at_a_time, report, shown, skip, workspace};

/// Brings up a network with a name server of its own, asks it outside the capture too, and records `names.py ask`.
const SCRIPT: &str = r#"
ip link set lo up
mount --make-rprivate /
printf 'nameserver 127.0.0.1\noptions timeout:2\n' >"$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
mkfifo "$1/ready" "$1/asks" "$1/tells"
python3 "$2" serve >"$1/ready" &
server=$!
read -r _ <"$1/ready"
# Somebody outside the subtree asks on its behalf.
(read -r _ <"$1/asks" && python3 "$2" other >"$1/tells") &
status=0
"$3" run -o "$1/names.argus" -- sh -euc '
    python3 "$2" ask
    echo >"$1/asks"
    read -r address <"$1/tells"
    ! busybox nc -w1 "$address" 443' sh "$1" "$2" || status=$?
kill $server
exit $status
"#;

fn record() -> Option<Report> {
    let skipped = |why: &str| {
        skip("names of addresses", why);
        None
    };
    if let Err(why) = can_capture() {
        return skipped(&why);
    }
    for program in ["unshare", "ip", "busybox", "python3"] {
        if !on_path(program) {
            return skipped(&format!("{program} is not installed"));
        }
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("names");
    let probe = scratch.join("probe.argus");
    capture(&probe, &[], &[], &["true"]);
    if report(&probe).limits.iter().any(|limit| limit.starts_with("Not seen: names of addresses")) {
        return skipped("this kernel has no control groups of version 2");
    }
    let script = workspace().join("tests/battery/names.py");
    let output = argus_tests::run(
        argus_tests::as_root("unshare").args(["--net", "--mount", "sh", "-euc", SCRIPT, "sh"]).args([
            scratch.path(),
            &script,
            &argus_tests::program("argus-capture"),
        ]),
    );
    assert!(output.status.success(), "{}", shown(&output));
    Some(report(&scratch.join("names.argus")))
}

fn peer<'a>(report: &'a Report, object: &str) -> &'a Effect {
    all_effects(report)
        .find(|effect| effect.facet == Facet::Connect && effect.object == object)
        .unwrap_or_else(|| panic!("no connection to {object} among {:#?}", all_effects(report).collect::<Vec<_>>()))
}

#[test]
fn every_resolver_counts() {
    let Some(report) = record() else { return };
    assert_eq!(report.case.lost, 0, "{:?}", report.limits);
    for (way, number, basis) in
        [("libc", 1, "DNS"), ("static", 2, "DNS"), ("raw", 3, "DNS"), ("stream", 4, "DNS"), ("other", 5, "DNS")]
    {
        let effect = peer(&report, &format!("127.0.1.{number}:443"));
        let names: Vec<String> = effect.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, [format!("{way}.example ({basis})")], "{way}: {effect:#?}");
    }
    for (number, name) in [(1, "tls.example (TLS)"), (2, "pieces.example (TLS)")] {
        let tls = peer(&report, &format!("127.0.2.{number}:443"));
        assert_eq!(tls.names.iter().map(ToString::to_string).collect::<Vec<_>>(), [name], "{tls:#?}");
    }
    for forged in [6, 7] {
        let effect = peer(&report, &format!("127.0.1.{forged}:443"));
        assert!(effect.names.is_empty(), "an answer of one's own names nobody: {effect:#?}");
    }
    let lookups: Vec<_> = all_effects(&report)
        .filter(|effect| effect.facet == Facet::NameLookup)
        .map(|effect| (effect.object.as_str(), effect.outcome.as_str(), effect.detail.as_deref()))
        .collect();
    for expected in [
        ("libc.example", "ok", Some("is 127.0.1.1")),
        ("nowhere.example", "NXDOMAIN", None),
        ("other.example", "ok", Some("is 127.0.1.5")),
        ("forged.example", "ok", Some("is 127.0.1.6")),
        ("elsewhere.example", "ok", Some("is 127.0.1.7")),
    ] {
        assert!(lookups.contains(&expected), "{expected:?} is not among {lookups:?}");
    }
}
