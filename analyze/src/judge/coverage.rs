//! What may be said to be absent, and what this capture could not see. Absence is only claimed where every way in
//! which it could be wrong is ruled out.

use super::{Evidence, FACETS, Judged, fold, losses};
use crate::effects::EffectRow;
use argus_schemas::events::Kind;
use argus_schemas::manifest::{IO_URING_UNSEEN, Loss, Manifest, SEGMENT_LEFT_OUT};
use argus_schemas::report::{Facet, Signature};
use argus_schemas::verdicts::Verdict;
use std::collections::BTreeSet;

/// The kinds of event that must all have been recorded before a facet's absence means anything.
const fn kinds(facet: Facet) -> &'static [&'static str] {
    match facet {
        Facet::Exec => &["exec"],
        // A datagram can be sent without a connect, and a connection used that somebody else had made.
        Facet::Connect | Facet::NameLookup => &["connect", "send", "close"],
        Facet::Ipc => &["connect", "send"],
        Facet::Delete => &["delete", "rmdir"],
        Facet::Rename => &["rename"],
        Facet::Write => &["open", "close", "truncate", "mkdir", "mknod", "link", "symlink"],
        Facet::Permission => &["chmod", "chown", "setxattr"],
        Facet::Privilege => &["setid", "mount", "unmount", "chroot", "namespace"],
        Facet::Signal => &["signal", "ptrace", "vm_read", "vm_write"],
        Facet::Read => &["open", "close"],
        Facet::Listen => &["bind", "listen"],
    }
}

/// The facets of which the capture can say that `call` did none, and those of which it cannot, with the reason.
///
/// `unsettled` are the effects that no single call is known to own.
pub(super) fn absent(
    call: &Judged,
    evidence: &Evidence,
    unsettled: &[&EffectRow],
    origin: u64,
) -> (Vec<String>, Vec<String>) {
    let mut none_of = Vec::new();
    let mut cannot = Vec::new();
    for facet in FACETS {
        if call.effects.iter().any(|effect| effect.facet == facet) {
            continue;
        }
        match doubt(facet, call, evidence, unsettled, origin) {
            None => none_of.push(facet.as_str().to_owned()),
            Some(why) => cannot.push(format!("{}: {why}", facet.as_str())),
        }
    }
    (none_of, cannot)
}

fn doubt(facet: Facet, call: &Judged, evidence: &Evidence, unsettled: &[&EffectRow], origin: u64) -> Option<String> {
    let manifest = evidence.manifest;
    let covered = |kind: &&&str| !manifest.coverage.kinds.iter().any(|known| known == **kind);
    if let Some(kind) = kinds(facet).iter().find(covered) {
        return Some(format!("{kind} events were not recorded"));
    }
    if let Some(gap) = manifest.coverage.uncovered.iter().find(|gap| gap.facets.iter().any(|f| f == facet.as_str())) {
        return Some(format!("{} not seen: {}", gap.what, gap.reason));
    }
    if !manifest.end.as_ref().is_some_and(|end| end.clean) {
        return Some("the capture did not end cleanly".to_owned());
    }
    if manifest.end.as_ref().is_some_and(|end| end.went_on) {
        return Some("processes of the subtree went on after the capture".to_owned());
    }
    let Some(end) = call.span.end_boot_ns else {
        return Some("the call never ended in the agent's log".to_owned());
    };
    let (from, to) = interval(call, end, origin);
    let ended = manifest.end.as_ref().map_or(0, |end| end.boot_ns);
    if from < origin || to > ended {
        return Some("it may have run in part outside the capture".to_owned());
    }
    if let Some(lost) = lost(facet, call, manifest, origin) {
        return Some(lost);
    }
    let unseen = manifest.coverage.uncovered.iter().any(|gap| gap.what == IO_URING_UNSEEN);
    if unseen && evidence.rings.iter().any(|ring| ring.owner.as_ref().is_none_or(|owner| *owner == call.span.span_id)) {
        return Some("io_uring was used, and work done through it may be unseen".to_owned());
    }
    unsettled.iter().filter(|row| row.effect.facet == facet).find_map(|row| match row.verdict {
        Verdict::Ambiguous if row.candidates.contains(&call.span.span_id) => {
            Some(format!("{} may be this call's", row.effect.object))
        }
        Verdict::Unknown
            if row.effect.first_ns.saturating_add(origin) <= to
                && row.effect.last_ns.saturating_add(origin) >= from =>
        {
            Some(format!("nobody is known to own {}", row.effect.object))
        }
        _ => None,
    })
}

/// The instants between which a call, which ended at this one, did anything: what it left running belongs to it as well,
/// as far as it was seen. The zero of the report is when the capture began.
fn interval(call: &Judged, end: u64, origin: u64) -> (u64, u64) {
    let last = call.effects.iter().map(|effect| effect.last_ns.saturating_add(origin)).max().unwrap_or(0).max(end);
    (call.span.start_boot_ns.saturating_sub(call.span.start_err_ns), last.saturating_add(call.span.end_err_ns))
}

/// How many events were lost while a call ran that may tell of such an act, in words.
pub(super) fn lost(facet: Facet, call: &Judged, manifest: &Manifest, origin: u64) -> Option<String> {
    let (from, to) = interval(call, call.span.end_boot_ns.unwrap_or(u64::MAX), origin);
    let hides = |loss: &&Loss| {
        // A use of a descriptor is recorded when it ends: a segment may hold those that began long before it.
        let back = loss.cause == SEGMENT_LEFT_OUT && kinds(facet).contains(&Kind::Close.as_str());
        loss.to_boot_ns >= from && (back || loss.from_boot_ns <= to) && loss.may_hide(kinds(facet))
    };
    let lost: Vec<&Loss> = manifest.losses.iter().filter(hides).collect();
    let count = lost.iter().fold(0u64, |sum, loss| sum.saturating_add(loss.count));
    let causes: BTreeSet<&str> = lost.iter().map(|loss| loss.cause.as_str()).collect();
    let causes: Vec<&str> = causes.into_iter().collect();
    (!lost.is_empty()).then(|| format!("{count} events were lost meanwhile ({})", causes.join(", ")))
}

/// What this capture could not see.
pub(super) fn limits(evidence: &Evidence, origin: u64) -> Vec<String> {
    let manifest = evidence.manifest;
    let mut limits: Vec<String> = manifest
        .coverage
        .uncovered
        .iter()
        .map(|gap| {
            let facets = if gap.facets.is_empty() { String::new() } else { format!(" ({})", gap.facets.join(", ")) };
            format!("Not seen: {}{facets}: {}.", gap.what, gap.reason)
        })
        .collect();
    limits.extend(losses::of(&manifest.losses).iter().map(|lost| lost.limit(origin)));
    if !manifest.end.as_ref().is_some_and(|end| end.clean) {
        let until = manifest.known_until(evidence.last_event_ns).saturating_sub(origin) as f64 / 1e9;
        limits.push(format!("The capture did not end cleanly: what happened after {until:.6} s is unknown."));
    }
    if !matches!(evidence.signature, Signature::By(_)) {
        limits.push(fold::sentence(&evidence.signature.to_string()));
    }
    for (field, count) in &manifest.incomplete {
        let (field, how) = match field.split_once(':') {
            Some((field, "truncated")) => (field, "was cut off"),
            Some((field, "unreadable")) => (field, "could not be read"),
            // The others say more of an event, and take nothing from it.
            _ => continue,
        };
        limits.push(format!("In {count} events, the field `{field}` {how}."));
    }
    for standing in [
        "Of what was sent or read, the amount is recorded and not the content.",
        "Bytes that went through one connection or file under several calls are given to none of them.",
        "Arguments, results and declarations are the agent's claims; only the effects are the kernel's.",
    ] {
        limits.push(standing.to_owned());
    }
    limits
}

#[cfg(test)]
mod tests {
    use crate::judge::testing::{manifest, report, row, span};
    use argus_schemas::manifest::{Loss, Manifest, Uncovered};
    use argus_schemas::report::Facet;
    use argus_schemas::verdicts::Verdict;

    /// Whether the report on one quiet call claims that it did not connect.
    fn check(change: impl FnOnce(&mut Manifest), expected: bool) {
        let mut manifest = manifest();
        change(&mut manifest);
        let report = report(&manifest, &[span("a", "t", 1_000, "{}", None)], &[]);
        let call = &report.calls[0];
        assert_eq!(call.none_of.contains(&"connect".to_owned()), expected, "{:?}", call.cannot_conclude);
        assert_eq!(call.cannot_conclude.iter().any(|why| why.starts_with("connect: ")), !expected);
    }

    fn loss(from: u64, to: u64) -> Loss {
        Loss {
            cause: "ring_full".to_owned(),
            count: 3,
            cpu: None,
            kinds: Vec::new(),
            from_boot_ns: from,
            to_boot_ns: to,
        }
    }

    #[test]
    fn absence_needs_coverage() {
        check(|_| {}, true);
        check(|manifest| manifest.coverage.kinds.retain(|kind| kind != "connect"), false);
        check(|manifest| manifest.coverage.kinds.retain(|kind| kind != "send"), false);
        check(|manifest| manifest.end = None, false);
        check(|manifest| manifest.clock_pairs[0].boot_ns = 1_500, false);
        check(|manifest| manifest.end.as_mut().unwrap().boot_ns = 1_500, false);
        check(|manifest| manifest.losses.push(loss(1_900, 2_100)), false);
        check(|manifest| manifest.losses.push(loss(2_100, 2_200)), true);
        let gap = |facet: &str| Uncovered {
            what: "x".to_owned(),
            facets: vec![facet.to_owned()],
            reason: "y".to_owned(),
            mend: None,
        };
        check(|manifest| manifest.coverage.uncovered.push(gap("connect")), false);
        check(|manifest| manifest.coverage.uncovered.push(gap("read")), true);
    }

    #[test]
    fn what_may_be_the_calls_is_not_absent() {
        let spans = [span("a", "t", 1_000, "{}", None), span("b", "u", 1_000, "{}", None)];
        let mut maybe = row("", Facet::Connect, "10.0.0.1:80");
        maybe.owner = None;
        maybe.verdict = Verdict::Ambiguous;
        maybe.candidates = vec!["a".to_owned()];
        let report = report(&manifest(), &spans, &[maybe]);
        assert!(!report.calls[0].none_of.contains(&"connect".to_owned()));
        assert!(report.calls[1].none_of.contains(&"connect".to_owned()));
    }
}
