//! Phrases that the formats share, so that the same fact is told in the same words everywhere.

use super::index::Index;
use super::{bounds, time};
use argus_schemas::report::{
    Call, CaseSummary, Effect, Expectation, Facet, Finding, Link, Linked, Report, Severity, TimelineEntry, Unowned, Way,
};
use argus_schemas::verdicts::{Basis, Verdict};
use serde::Deserialize;
use serde::de::value::StrDeserializer;

/// Every severity, the gravest first.
pub const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

/// How an expectation reads in a table.
pub fn expectation(effect: &Effect) -> &'static str {
    match effect.expectation {
        Expectation::Undeclared => "undeclared",
        Expectation::Unconfirmed => "unconfirmed",
        Expectation::Told => "told",
        Expectation::Declared => "declared",
        Expectation::Own => "own",
        Expectation::Ordinary => "ordinary",
    }
}

/// What a verdict means.
pub const fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Attributed => "exactly one call owns it",
        Verdict::Ambiguous => "more than one call could own it",
        Verdict::Runtime => "the agent itself, outside any call",
        Verdict::Outside => "not in the agent's process tree",
        Verdict::Unknown => "cannot be said",
    }
}

/// What a basis rests on.
pub const fn rests_on(basis: Basis) -> &'static str {
    match basis {
        Basis::Carrier => "the process was started with the call's trace id",
        Basis::Thread => "the agent marked the call on this thread",
        Basis::Lineage => "the process descends from one that the call started",
        Basis::Argument => "only this call's arguments name it",
        Basis::Handoff => "only this call handed its process anything",
        Basis::Window => "only this call was open",
    }
}

/// `call 2 read_config`.
pub fn call(call: &Call) -> String {
    format!("call {} {}", call.number, call.name)
}

/// Why no single call owns a group of effects; the candidates of an ambiguous one are named apart.
pub fn why_unowned(unowned: &Unowned) -> String {
    match unowned.verdict {
        Verdict::Runtime => "The agent itself, outside any call".to_owned(),
        Verdict::Outside => "Outside the agent".to_owned(),
        Verdict::Ambiguous => format!("Ambiguous: one of {}", plural(unowned.candidates.len() as u64, "call")),
        Verdict::Unknown | Verdict::Attributed => {
            format!("Unknown: {}", unowned.reason.as_deref().unwrap_or("no reason was recorded"))
        }
    }
}

/// Spans as calls: `call 2 fetch`; one that is in no call of the report keeps its id.
pub fn spans(ids: &[String], index: &Index) -> Vec<String> {
    ids.iter().map(|id| index.span(id).map_or_else(|| format!("span {id}"), call)).collect()
}

/// `call 7 write wrote /w/install.sh (event 31), which call 12 run executed (event 88)`.
pub fn linked(link: &Link, one: &Linked, index: &Index) -> String {
    let name = |id: &str| index.span(id).map_or_else(|| format!("span {id}"), call);
    let to = link.to.as_deref().map_or_else(|| "the agent itself".to_owned(), name);
    let to = match link.way {
        Way::Pipe | Way::Socket => format!("process {} of {to}", one.to_pid),
        _ => to,
    };
    format!("{} {} {to} {}", name(&link.from), one.given(link.way, name), one.taken_how(link.way))
}

/// `1 call`, `2 calls`, `12,345 calls`.
pub fn plural(count: u64, noun: &str) -> String {
    let ending = match (count, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", number(count))
}

/// `1,234,567`.
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 kernel event`, `2 kernel events`, with how many of them were late.
pub fn owned(call: &Call) -> String {
    let late = match call.late_events {
        0 => String::new(),
        late => format!(", {} after it had returned", number(late)),
    };
    format!("{}{late}", plural(call.events, "kernel event"))
}

/// What cannot be concluded on a call, the facets of one reason together: `exec, delete: the call never ended`.
pub fn doubts(call: &Call) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for doubt in &call.cannot_conclude {
        let (facet, reason) = doubt.split_once(": ").unwrap_or(("", doubt));
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, facets)) => facets.push(facet_word(facet)),
            None => by_reason.push((reason, vec![facet_word(facet)])),
        }
    }
    by_reason.into_iter().map(|(reason, facets)| format!("{}: {reason}", facets.join(", "))).collect()
}

/// When a call ran: `+0.120 s to +0.350 s (230.0 ms); the log says ok`.
pub fn span_of(call: &Call) -> String {
    let end = match call.end_ns {
        Some(end) => {
            format!(
                "{} to {} ({})",
                time::offset(call.start_ns),
                time::offset(end),
                time::length(end.saturating_sub(call.start_ns))
            )
        }
        None => format!("{}, and never ended in the agent's log", time::offset(call.start_ns)),
    };
    let status = call.status.as_deref().map(|status| format!("; the log says {status}")).unwrap_or_default();
    format!("{end}{status}")
}

/// How many distinct acts of a call nobody had declared.
pub fn undeclared(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| effect.expectation == Expectation::Undeclared).count()
}

/// An effect's command line, or a rename's new name.
pub fn detail(effect: &Effect) -> Option<String> {
    let detail = effect.detail.as_deref()?;
    Some(if effect.facet == Facet::Rename { format!("to {detail}") } else { detail.to_owned() })
}

/// How much went through it: `sent 1.2 kB, received 30 kB`; nothing where nothing was counted, or nothing went through.
pub fn amount(effect: &Effect) -> Option<String> {
    let (out, into) = match effect.facet {
        Facet::Write => ("wrote", "read"),
        Facet::Read => ("wrote", "read"),
        _ => ("sent", "received"),
    };
    let part = |word: &str, count: Option<u64>| {
        count.filter(|count| *count > 0).map(|count| format!("{word} {}", bytes(count)))
    };
    let parts: Vec<String> = part(out, effect.bytes_out).into_iter().chain(part(into, effect.bytes_in)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A number of bytes, in decimal units.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return if unit == "B" || value >= 10.0 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// What weakens an effect as evidence, or sets it apart.
pub fn caveats(effect: &Effect) -> Vec<String> {
    let late = effect.late.then(|| "after the call had returned".to_owned());
    let inherited = (effect.count == 0).then(|| "through a descriptor that was open already".to_owned());
    late.into_iter().chain(effect.by_memory()).chain(inherited).collect()
}

/// What is lost, and until when that is known.
fn lost(case: &CaseSummary) -> String {
    let lost = if case.lost == 0 { "nothing".to_owned() } else { plural(case.lost, "event") };
    if case.clean {
        return lost;
    }
    let until = time::offset(case.duration_ns);
    let clock = time::utc(case.started_real_ns.saturating_add(case.duration_ns));
    format!("{lost} counted as lost up to {until} ({clock}); what happened after that is unknown")
}

/// What is left out of a table of acts, in one line; nothing where all of them are there.
pub fn left_out(all: &[&Effect], shown: usize) -> Option<String> {
    let left = all.len().checked_sub(shown).filter(|left| *left > 0)?;
    Some(format!(
        "{} are not listed here, of {} in all ({}); {}.",
        plural(left as u64, "more act"),
        number(all.len() as u64),
        ordinary(all),
        bounds::ALL
    ))
}

/// The class of an act, each of which a bounded table shows something of.
pub fn class(effect: &&Effect) -> (Expectation, Facet, bool, bool) {
    (effect.expectation, effect.facet, effect.outcome == "ok", effect.changed_to.is_some())
}

/// Event ids, runs of three and more as `4-9`, and how many came after the first `most` of these pieces.
pub fn events(ids: &[u64], most: usize) -> (String, usize) {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*id) => *last = *id,
            _ => runs.push((*id, *id)),
        }
    }
    let left: u64 = runs.iter().skip(most).map(|(first, last)| last - first + 1).sum();
    let pieces: Vec<String> = runs
        .iter()
        .take(most)
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first}-{last}"),
        })
        .collect();
    (pieces.join(", "), usize::try_from(left).unwrap_or(usize::MAX))
}

/// Event ids as text: `4-9, 12 and 30 more`.
pub fn events_in_short(ids: &[u64], most: usize) -> String {
    match events(ids, most) {
        (text, 0) => text,
        (text, left) => format!("{text} and {left} more"),
    }
}

/// Ordinary effects as one phrase: `exec 1, read 41`.
pub fn ordinary(effects: &[&Effect]) -> String {
    let mut counts: Vec<(Facet, u64)> = Vec::new();
    for effect in effects {
        match counts.iter_mut().find(|(facet, _)| *facet == effect.facet) {
            Some((_, count)) => *count += 1,
            None => counts.push((effect.facet, 1)),
        }
    }
    counts.sort_unstable();
    counts.iter().map(|(facet, count)| format!("{} {count}", facet_word(facet.as_str()))).collect::<Vec<_>>().join(", ")
}

/// A facet's word as prose: `name lookup`.
pub fn facet_word(word: &str) -> String {
    word.replace('_', " ")
}

/// A timeline's text as the act, in words, and what it was done to, which the workload chose. Starts and ends of calls
/// are all words here; their names are in a column of their own.
pub fn act_and_object(entry: &TimelineEntry) -> (String, Option<&str>) {
    let text = entry.text.as_str();
    let word = StrDeserializer::<serde::de::value::Error>::new(&entry.what);
    if let Ok(facet) = Facet::deserialize(word) {
        let phrase = facet.past_tense();
        if let Some((before, object)) = text.split_once(phrase) {
            return (format!("{before}{phrase}"), Some(object.strip_prefix(' ').unwrap_or(object)));
        }
    }
    (text.to_owned(), None)
}

/// Where an act was done, roughly: the folder of a path, the address of a peer. One peer elsewhere among hundreds here is
/// no more of the same.
fn place(entry: &TimelineEntry) -> Option<&str> {
    let object = act_and_object(entry).1?;
    let first = object.split(' ').next().unwrap_or(object);
    let (place, _) = first.rsplit_once(if first.starts_with('/') { '/' } else { ':' })?;
    Some(place)
}

/// From this many on, acts of a kind in a row are told as one: forty deletions are one event to a reader.
const MANY: usize = 6;

/// The lines of a timeline that a page of at most so many shows, and what it leaves out, in words.
pub fn chosen<'a>(rows: Vec<&'a [TimelineEntry]>, most: usize) -> (Vec<&'a [TimelineEntry]>, Option<String>) {
    let all: usize = rows.iter().map(|row| row.len()).sum();
    let chosen = bounds::fair(rows, most, |row| (row[0].call, row[0].what.as_str(), row[0].undeclared));
    let shown: usize = chosen.iter().map(|row| row.len()).sum();
    let left = (shown < all).then(|| {
        format!(
            "{} of {} are not listed here: of each call and kind of act, only the first are; {}.",
            number((all - shown) as u64),
            plural(all as u64, "line"),
            bounds::ALL
        )
    });
    (chosen, left)
}

/// The findings that a page of at most so many shows, each with its number, and what it leaves out, in words.
pub fn shown_findings(report: &Report, most: usize) -> (Vec<(usize, &Finding)>, Option<String>) {
    let all: Vec<(usize, &Finding)> = (1..).zip(&report.findings).collect();
    let shown = bounds::fair(all, most, |(_, finding)| (finding.severity, finding.rule.as_str()));
    let left = report.findings.len() - shown.len();
    let said = format!(
        "{} are not listed here: of each rule, only the first are; {}.",
        plural(left as u64, "more finding"),
        bounds::ALL
    );
    (shown, (left > 0).then_some(said))
}

/// The timeline in pieces, each a single line or a row of many acts of one kind by one call in one place.
pub fn rows(entries: &[TimelineEntry]) -> Vec<&[TimelineEntry]> {
    let alike = |a: &TimelineEntry, b: &TimelineEntry| {
        (a.call, &a.what, a.undeclared) == (b.call, &b.what, b.undeclared)
            && !matches!(a.what.as_str(), "start" | "end" | "record")
            && place(a) == place(b)
    };
    let mut rows = Vec::new();
    for row in entries.chunk_by(alike) {
        if row.len() < MANY { rows.extend(row.chunks(1)) } else { rows.push(row) }
    }
    rows
}

/// The head facts of a case, as name and value.
pub fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let case = &report.case;
    let recorded = format!(
        "{} of {}; {}",
        plural(case.events, "kernel event"),
        plural(case.processes, "process"),
        plural(case.spans, "span")
    );
    vec![
        ("Command", case.command.join(" ")),
        ("Host", format!("{}, Linux {}", case.host, case.kernel)),
        ("Began", time::utc(case.started_real_ns)),
        ("Lasted", time::length(case.duration_ns)),
        ("Recorded", recorded),
        ("Lost", lost(case)),
        ("Ended", format!("{}{}", case.ended, if case.clean { "" } else { " (not cleanly)" })),
        (MANIFEST, case.manifest_sha256.clone()),
        ("Signature", case.signature.to_string()),
    ]
}

/// The fact that the manifest's hash is.
pub const MANIFEST: &str = "Manifest SHA-256";

/// Whether a fact is something to copy rather than to read.
pub fn is_code(fact: &str) -> bool {
    matches!(fact, "Command" | MANIFEST)
}

/// How many findings there are of each severity that occurs.
pub fn tally(report: &Report) -> Vec<(Severity, usize)> {
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    SEVERITIES.into_iter().map(|severity| (severity, count(severity))).filter(|(_, count)| *count > 0).collect()
}

/// What there is to say without findings. Silence is no proof, and the sentence must not sound like one.
pub const NO_FINDINGS: &str = "No findings. What this capture could not see is under the limits.";

/// The findings in one sentence.
pub fn verdict_of(report: &Report) -> String {
    let parts: Vec<String> =
        tally(report).into_iter().map(|(severity, count)| format!("{count} {}", severity.as_str())).collect();
    if parts.is_empty() { NO_FINDINGS.to_owned() } else { format!("Findings: {}.", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: &str) -> TimelineEntry {
        TimelineEntry {
            at_ns: 0,
            what: what.to_owned(),
            text: String::new(),
            call: Some(1),
            call_name: None,
            undeclared: false,
            event_ids: Vec::new(),
            note: None,
        }
    }

    #[test]
    fn amounts_of_bytes() {
        for (count, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (9_940, "9.9 kB"),
            (12_345, "12 kB"),
            (999_500, "1.0 MB"),
            (5_000_000_000_000, "5.0 TB"),
        ] {
            assert_eq!(bytes(count), expected, "{count}");
        }
    }

    #[test]
    fn events_are_runs() {
        for (ids, expected) in [
            (&[][..], ("", 0)),
            (&[7], ("7", 0)),
            (&[7, 8], ("7, 8", 0)),
            (&[7, 8, 9, 12], ("7-9, 12", 0)),
            (&[1, 3, 5, 6, 7, u64::MAX], ("1, 3", 4)),
        ] {
            assert_eq!(events(ids, 2), (expected.0.to_owned(), expected.1));
        }
        assert_eq!(events_in_short(&[1, 3, 5], 2), "1, 3 and 1 more");
    }

    #[test]
    fn what_the_workload_chose_is_told_apart() {
        for (what, text, expected) in [
            ("connect", "connected to 192.0.2.1:80", ("connected to", Some("192.0.2.1:80"))),
            (
                "read",
                "tried, and got EACCES: opened for reading /x",
                ("tried, and got EACCES: opened for reading", Some("/x")),
            ),
            ("start", "tool connected to begins", ("tool connected to begins", None)),
        ] {
            let entry = TimelineEntry { text: text.to_owned(), ..entry(what) };
            assert_eq!(act_and_object(&entry), (expected.0.to_owned(), expected.1));
        }
    }

    #[test]
    fn many_of_a_kind_are_one_row() {
        let entries: Vec<_> = [["start"; 6], ["delete"; 6], ["exec", "exec", "end", "end", "end", "end"]]
            .as_flattened()
            .iter()
            .map(|what| entry(what))
            .collect();
        let lengths: Vec<usize> = rows(&entries).iter().map(|row| row.len()).collect();
        assert_eq!(lengths, [1, 1, 1, 1, 1, 1, 6, 1, 1, 1, 1, 1, 1]);
        let peers = [["127.0.0.1:1 (2 times)"; 6].as_slice(), &["203.0.113.66:80"], &["127.0.0.1:2"; 7]].concat();
        let entries: Vec<_> = peers
            .iter()
            .map(|peer| TimelineEntry { text: format!("connected to {peer}"), ..entry("connect") })
            .collect();
        let lengths: Vec<usize> = rows(&entries).iter().map(|row| row.len()).collect();
        assert_eq!(lengths, [6, 1, 7], "one peer elsewhere has a line of its own");
    }

    #[test]
    fn numbers() {
        assert_eq!(plural(1, "kernel event"), "1 kernel event");
        assert_eq!(plural(1_234_567, "process"), "1,234,567 processes");
        assert_eq!(number(123), "123");
    }
}
