//! Many acts of one kind told as one: what a program does a hundred thousand times is one fact to a reader, and must not
//! bury the others.

use super::act;
use crate::told::split_port;
use argus_schemas::report::{COMMAND_LINE, Effect, Facet, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Findings of one rule and gravity on more objects than this are one finding.
const MOST: usize = 8;

/// How many acts, and how many places, a finding lists.
pub(super) const LISTED: usize = 10;

/// Acts by rule, gravity and what keeps them apart from others of both; empty: nothing.
pub(super) type Groups<'a, R> = BTreeMap<(R, Severity, String), Vec<&'a Effect>>;

/// The groups, with those of one rule and gravity as one where there are very many.
pub(super) fn few<R: Ord + Clone>(groups: Groups<'_, R>) -> Vec<(R, Severity, Vec<&Effect>)> {
    let mut by_rule: BTreeMap<(R, Severity), Vec<Vec<&Effect>>> = BTreeMap::new();
    for ((rule, severity, _), effects) in groups {
        by_rule.entry((rule, severity)).or_default().push(effects);
    }
    by_rule
        .into_iter()
        .flat_map(|((rule, severity), groups)| {
            let groups = if groups.len() > MOST { vec![groups.concat()] } else { groups };
            groups.into_iter().map(move |effects| (rule.clone(), severity, effects))
        })
        .collect()
}

const fn noun(facet: Facet) -> &'static str {
    match facet {
        Facet::Exec => "programs",
        Facet::Connect => "peers",
        Facet::Listen => "addresses",
        Facet::NameLookup => "names",
        Facet::Ipc => "sockets",
        Facet::Signal => "processes",
        Facet::Privilege => "things",
        Facet::Delete | Facet::Rename | Facet::Write | Facet::Permission | Facet::Read => "paths",
    }
}

/// What many acts of one facet did, in one phrase: `deleted 12 paths`.
pub(super) fn acts(effects: &[&Effect]) -> String {
    let [first, _, ..] = effects else { return effects.first().map(|effect| act(effect)).unwrap_or_default() };
    let phrase = |objects: usize, noun: &str| match first.facet {
        Facet::Write => format!("opened {objects} {noun} for writing"),
        Facet::Read => format!("opened {objects} {noun} for reading"),
        Facet::Ipc => format!("talked to {objects} local {noun}"),
        Facet::Privilege => format!("changed its rights or its view of the system in {objects} {noun}"),
        facet => format!("{} {objects} {noun}", facet.past_tense()),
    };
    let objects = |done: bool| -> BTreeSet<&str> {
        effects.iter().filter(|effect| (effect.outcome == "ok") == done).map(|effect| effect.object.as_str()).collect()
    };
    let (done, tried) = (objects(true), objects(false));
    let failed = tried.difference(&done).count();
    let one = effects.iter().find(|effect| effect.outcome == "ok").unwrap_or(first);
    let noun = noun(first.facet);
    match (done.len(), failed) {
        (1, 0) | (0, 1) => act(one),
        (1, failed) => format!("{}, and tried {failed} more in vain", act(one)),
        (0, failed) => format!("tried in vain: {}", phrase(failed, noun)),
        (done, 0) => phrase(done, noun),
        (done, failed) => format!("{}, and tried {failed} more in vain", phrase(done, noun)),
    }
}

/// Where an act was done: the folder of a path, the address of a peer.
fn place(effect: &Effect) -> &str {
    let object = effect.object.as_str();
    match effect.facet {
        Facet::Connect | Facet::NameLookup | Facet::Listen => split_port(object).map_or(object, |(address, _)| address),
        _ => object.rsplit_once('/').map_or(object, |(folder, _)| if folder.is_empty() { "/" } else { folder }),
    }
}

/// The acts, those first that are the odd ones: where little was done, and away from this machine.
fn odd_first<'a>(effects: &[&'a Effect], places: &BTreeMap<&str, usize>) -> Vec<&'a Effect> {
    let mut sorted = effects.to_vec();
    let near = |place: &str| place.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    sorted.sort_by_key(|effect| {
        let place = place(effect);
        (near(place), places.get(place).copied().unwrap_or(0), effect.first_ns)
    });
    sorted
}

/// The acts one by one, as far as a reader takes them in, and where the others were done.
pub(super) fn listed(effects: &[&Effect]) -> Vec<String> {
    let one_object = effects.windows(2).all(|two| two[0].object == two[1].object);
    let told = |effect: &&Effect| match (&effect.detail, effect.facet) {
        (Some(line), Facet::Exec) => {
            let line = format!("{COMMAND_LINE}{line}");
            if one_object && effect.outcome == "ok" { vec![line] } else { vec![sentence(&act(effect)), line] }
        }
        (Some(name), Facet::Rename) => vec![sentence(&format!("{} to {name}", act(effect)))],
        _ => vec![sentence(&act(effect))],
    };
    if effects.len() <= LISTED {
        return effects.iter().flat_map(told).collect();
    }
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for effect in effects {
        *places.entry(place(effect)).or_default() += 1;
    }
    let sorted = odd_first(effects, &places);
    let mut lines: Vec<String> = sorted.iter().take(LISTED).flat_map(told).collect();
    let mut most: Vec<(&str, usize)> = places.into_iter().collect();
    most.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let at = if effects.iter().any(|effect| effect.object.starts_with('/')) { "in" } else { "at" };
    let named: Vec<String> = most.iter().take(LISTED).map(|(place, count)| format!("{count} {at} {place}")).collect();
    let others = most.len().saturating_sub(LISTED);
    let others = if others > 0 { format!(", the rest in {others} other places") } else { String::new() };
    let places = match most.as_slice() {
        [(only, _)] => format!(", {at} {only}"),
        _ => format!(": {}{others}", named.join(", ")),
    };
    let left = effects.len() - LISTED;
    let are = if left == 1 { "is" } else { "are" };
    lines.push(format!("{left} more {are} not listed here; {} in all{places}.", effects.len()));
    lines
}

/// With a capital, and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// The events behind effects, each once.
pub(super) fn events(effects: &[&Effect]) -> Vec<u64> {
    let mut ids: Vec<u64> = effects.iter().flat_map(|effect| effect.event_ids.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::effect;

    #[track_caller]
    fn check(facet: Facet, outcomes: &[(&str, &str)], expected: &str) {
        let effects: Vec<Effect> = outcomes.iter().map(|(object, outcome)| effect(facet, object, outcome)).collect();
        assert_eq!(acts(&effects.iter().collect::<Vec<_>>()), expected);
    }

    #[test]
    fn many_acts_are_one_phrase_that_claims_no_more_than_was_done() {
        check(Facet::Delete, &[("/a", "ok")], "deleted /a");
        check(Facet::Delete, &[("/a", "ok"), ("/b", "ok")], "deleted 2 paths");
        check(
            Facet::Write,
            &[("/a", "ok"), ("/b", "ok"), ("/c", "EACCES")],
            "opened 2 paths for writing, and tried 1 more in vain",
        );
        check(Facet::Write, &[("/a", "ok"), ("/b", "EACCES")], "opened for writing /a, and tried 1 more in vain");
        check(Facet::Write, &[("/a", "EACCES"), ("/a", "EROFS")], "tried, and got EACCES: opened for writing /a");
        check(Facet::Connect, &[("1.2.3.4:1", "EPERM"), ("1.2.3.4:2", "EPERM")], "tried in vain: connected to 2 peers");
        check(Facet::Connect, &[("1.2.3.4:1", "EPERM"), ("1.2.3.4:1", "ok")], "connected to 1.2.3.4:1");
    }

    #[test]
    fn the_odd_one_is_listed_among_very_many() {
        let mut effects: Vec<Effect> =
            (0..1_000).map(|port| effect(Facet::Connect, &format!("127.0.0.1:{port}"), "ok")).collect();
        effects.push(Effect { first_ns: 9_000, ..effect(Facet::Connect, "203.0.113.66:80", "ok") });
        let lines = listed(&effects.iter().collect::<Vec<_>>());
        assert_eq!(lines[0], "Connected to 203.0.113.66:80.");
        assert_eq!(lines.len(), LISTED + 1);
        assert_eq!(lines[LISTED], "991 more are not listed here; 1001 in all: 1000 at 127.0.0.1, 1 at 203.0.113.66.");
    }

    #[test]
    fn what_was_executed_and_renamed_is_told_whole() {
        let with = |facet, object: &str, detail: &str| Effect {
            detail: Some(detail.to_owned()),
            ..effect(facet, object, "ok")
        };
        let check =
            |effects: &[Effect], expected: &[&str]| assert_eq!(listed(&effects.iter().collect::<Vec<_>>()), expected);
        let (id, cat) = (with(Facet::Exec, "/bin/id", "id -u"), with(Facet::Exec, "/bin/cat", "cat a"));
        check(&[id.clone(), id.clone()], &["The command line: id -u", "The command line: id -u"]);
        let each = ["Executed /bin/id.", "The command line: id -u", "Executed /bin/cat.", "The command line: cat a"];
        check(&[id, cat], &each);
        check(
            &[with(Facet::Rename, "/a", "/b"), with(Facet::Rename, "/c", "/d")],
            &["Renamed /a to /b.", "Renamed /c to /d."],
        );
    }

    #[test]
    fn only_very_many_are_told_as_one() {
        let effects: Vec<Effect> = (0..20).map(|n| effect(Facet::Write, &format!("/w/{n}"), "ok")).collect();
        let groups = |count: usize| -> Groups<'_, &str> {
            let one = |effect| (("rule", Severity::Medium, Effect::clone(effect).object), vec![effect]);
            effects.iter().take(count).map(one).collect()
        };
        assert_eq!(few(groups(MOST)).len(), MOST);
        let folded = few(groups(20));
        assert_eq!((folded.len(), folded[0].2.len()), (1, 20));
    }
}
