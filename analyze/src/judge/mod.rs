//! From effects and claims to the report, as a value. Pure: no clock, no path, no environment.

mod coverage;
pub mod expectation;
mod findings;
mod fold;
pub mod glob;
mod links;
mod losses;
mod names;
pub mod ordinary;
mod recorder;
#[cfg(test)]
pub mod testing;

use crate::effects::{EffectRow, OwnedEvents, Ring};
use crate::told;
use argus_schemas::manifest::Manifest;
use argus_schemas::report::{
    self, Call, CaseSummary, Effect, Expectation, Facet, Finding, Report, Signature, TimelineEntry, UNREAD, Unowned,
    VerdictCount,
};
use argus_schemas::span_log::Refused;
use argus_schemas::spans::Span;
use argus_schemas::verdicts::Verdict;
use expectation::{Claims, Declares};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Every facet, in the order in which reports name them.
pub const FACETS: [Facet; 12] = [
    Facet::Exec,
    Facet::Connect,
    Facet::NameLookup,
    Facet::Delete,
    Facet::Rename,
    Facet::Write,
    Facet::Permission,
    Facet::Read,
    Facet::Listen,
    Facet::Ipc,
    Facet::Privilege,
    Facet::Signal,
];

/// What the stages before found.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// The case folder's name.
    pub name: &'a str,
    /// How the case was recorded.
    pub manifest: &'a Manifest,
    /// SHA-256 of the manifest.
    pub manifest_sha256: &'a str,
    /// Whether somebody vouches for it.
    pub signature: &'a Signature,
    /// The agent's claims.
    pub spans: &'a [Span],
    /// Span lines that contradicted others.
    pub refused: &'a [Refused],
    /// Span lines that could not be read.
    pub unreadable: &'a [Refused],
    /// [`crate::effects::collect`], with [`origin`] as the zero.
    pub effects: &'a [EffectRow],
    /// [`crate::effects::rings`].
    pub rings: &'a [Ring],
    /// [`crate::effects::owned_events`].
    pub owned: &'a BTreeMap<String, OwnedEvents>,
    /// [`crate::links::summary`].
    pub links: Vec<report::Link>,
    /// [`crate::effects::verdict_counts`].
    pub verdict_counts: Vec<VerdictCount>,
    /// What the stages before found wrong.
    pub findings: Vec<Finding>,
    /// Rows of the events table.
    pub event_count: u64,
    /// The last instant in it, CLOCK_BOOTTIME nanoseconds.
    pub last_event_ns: Option<u64>,
    /// Processes seen.
    pub process_count: u64,
}

/// The zero of a report's instants: the first reading of the clocks, CLOCK_BOOTTIME nanoseconds.
pub fn origin(manifest: &Manifest) -> u64 {
    manifest.clock_pairs.first().map_or(0, |pair| pair.boot_ns)
}

/// A call under judgement.
pub(crate) struct Judged<'a> {
    pub(crate) span: &'a Span,
    pub(crate) number: u32,
    pub(crate) claims: Claims,
    pub(crate) effects: Vec<Effect>,
}

/// Makes the report.
pub fn judge(evidence: Evidence) -> Report {
    let origin = origin(evidence.manifest);
    let mut spans: Vec<&Span> = evidence.spans.iter().collect();
    spans.sort_by(|a, b| (a.start_boot_ns, &a.span_id).cmp(&(b.start_boot_ns, &b.span_id)));
    // Of spans with one id the first is believed, as a finding says; the others would show what it did once more.
    let mut ids = HashSet::new();
    spans.retain(|span| ids.insert(span.span_id.as_str()));
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), *span)).collect();

    let mut by_owner: HashMap<&str, Vec<&EffectRow>> = HashMap::new();
    let mut unowned_rows = Vec::new();
    for row in evidence.effects {
        match row.owner.as_deref() {
            Some(owner) if row.verdict == Verdict::Attributed && by_id.contains_key(owner) => {
                by_owner.entry(owner).or_default().push(row);
            }
            _ => unowned_rows.push(row),
        }
    }
    let mut judged: Vec<Judged> = Vec::new();
    for (span, number) in spans.iter().zip(1u32..) {
        let claims = claims_of(span, &by_id);
        let mut effects: Vec<Effect> = Vec::new();
        for row in by_owner.get(span.span_id.as_str()).into_iter().flatten() {
            effects.push(Effect { expectation: claims.expect(&row.effect), ..row.effect.clone() });
        }
        excuse(&mut effects, evidence.manifest);
        effects.sort_by_key(|effect| {
            let severity = findings::gravity(effect).map(|(_, severity)| severity);
            (effect.expectation, Reverse(severity), effect.first_ns)
        });
        judged.push(Judged { span, number, claims, effects });
    }

    let mut unowned = unowned(&unowned_rows, &judged, evidence.manifest);
    let mut found = evidence.findings.clone();
    found.extend(findings::all(&evidence, &judged, &unowned, origin));
    found.extend(links::findings(&evidence.links, &by_id));
    found.sort_by(|a, b| {
        let key = |finding: &Finding| {
            (Reverse(finding.severity), findings::urgency(&finding.rule), finding.at_ns.is_none(), finding.at_ns)
        };
        (key(a), &a.rule, &a.title).cmp(&(key(b), &b.rule, &b.title))
    });
    // Only now: a finding on what the agent did by itself asks whether anybody had said so.
    for effect in
        unowned.iter_mut().filter(|group| group.verdict == Verdict::Runtime).flat_map(|group| &mut group.effects)
    {
        if effect.expectation == Expectation::Undeclared {
            effect.expectation = Expectation::Own;
        }
    }
    let unsettled: Vec<&EffectRow> =
        evidence.effects.iter().filter(|row| matches!(row.verdict, Verdict::Ambiguous | Verdict::Unknown)).collect();
    let calls = judged.iter().map(|call| as_call(call, &evidence, &unsettled, &by_id, origin)).collect();
    let case = summary(&evidence, origin);
    let gaps = losses::gaps(&evidence, case.duration_ns, origin);
    Report {
        report_version: report::VERSION,
        case,
        findings: found,
        calls,
        verdicts: evidence.verdict_counts.clone(),
        timeline: timeline(&judged, &unowned, gaps, origin),
        links: evidence.links.clone(),
        unowned,
        limits: coverage::limits(&evidence, origin),
    }
}

/// Takes for ordinary what only the whole of a call's effects shows to be so.
fn excuse(effects: &mut [Effect], manifest: &Manifest) {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    // A shell looks for a program in each folder of its search path until it finds it.
    let found: HashSet<String> = effects
        .iter()
        .filter(|effect| effect.facet == Facet::Exec && effect.outcome == "ok")
        .filter_map(|effect| effect.detail.as_deref()?.split_whitespace().next().map(name))
        .collect();
    // What the program changed meanwhile may be anything.
    for effect in effects.iter_mut().filter(|effect| effect.changed_to.is_none()) {
        let searched =
            effect.facet == Facet::Exec && effect.outcome == "ENOENT" && found.contains(&name(&effect.object));
        let reported = effect.facet == Facet::Ipc && manifest.span_socket.as_deref() == Some(&effect.object);
        let exported = effect.facet == Facet::Connect && manifest.otlp_address.as_deref() == Some(&effect.object);
        if searched || reported || exported {
            effect.expectation = Expectation::Ordinary;
        }
    }
}

/// The enclosing spans, innermost first. A hostile log can make a circle of parents; it is walked once.
fn ancestors<'a>(span: &'a Span, by_id: &HashMap<&str, &'a Span>) -> Vec<&'a Span> {
    let mut seen: HashSet<&str> = HashSet::from([span.span_id.as_str()]);
    let mut chain = Vec::new();
    let mut next = span.parent_id.as_deref();
    while let Some(parent) = next.and_then(|id| by_id.get(id)) {
        if !seen.insert(parent.span_id.as_str()) {
            break;
        }
        chain.push(*parent);
        next = parent.parent_id.as_deref();
    }
    chain
}

/// A step inherits what the tool around it was told; an agent's own arguments, its task, excuse nothing.
fn claims_of(span: &Span, by_id: &HashMap<&str, &Span>) -> Claims {
    let mut claims = Claims::default();
    for (depth, span) in std::iter::once(span).chain(ancestors(span, by_id)).enumerate() {
        let is_call = matches!(span.kind.as_str(), "tool" | "step");
        if depth == 0 || is_call {
            claims.declares.extend(span.declares.as_deref().and_then(Declares::read));
            if is_call {
                claims.told.push(told::read(span.args.as_deref()));
            }
        }
    }
    claims
}

fn as_call(
    call: &Judged,
    evidence: &Evidence,
    unsettled: &[&EffectRow],
    by_id: &HashMap<&str, &Span>,
    origin: u64,
) -> Call {
    let span = call.span;
    let owned = evidence.owned.get(&span.span_id).copied().unwrap_or_default();
    let (none_of, cannot_conclude) = coverage::absent(call, evidence, unsettled, origin);
    let mut chain: Vec<String> = ancestors(span, by_id).into_iter().map(|span| span.span_id.clone()).collect();
    chain.reverse();
    Call {
        number: call.number,
        span_id: span.span_id.clone(),
        parent_id: span.parent_id.clone(),
        call_id: span.call_id.clone(),
        chain,
        kind: span.kind.clone(),
        name: span.name.clone(),
        start_ns: span.start_boot_ns.saturating_sub(origin),
        end_ns: span.end_boot_ns.map(|end| end.saturating_sub(origin)),
        status: span.status.clone(),
        args: span.args.clone(),
        result: span.result.clone(),
        declares: span.declares.clone(),
        told: call.claims.told.first().map(|told| told.shown.clone()).unwrap_or_default(),
        effects: call.effects.clone(),
        events: owned.events,
        late_events: owned.late,
        none_of,
        cannot_conclude,
    }
}

fn unowned(rows: &[&EffectRow], judged: &[Judged], manifest: &Manifest) -> Vec<Unowned> {
    let mut groups: BTreeMap<(Verdict, Vec<String>, Option<String>), Vec<Effect>> = BTreeMap::new();
    for row in rows {
        // An ambiguous effect is excused by whichever of its candidates was to do it.
        let expectation = judged
            .iter()
            .filter(|call| row.candidates.contains(&call.span.span_id))
            .map(|call| call.claims.expect(&row.effect))
            .chain([Claims::default().expect(&row.effect)])
            .max()
            .unwrap_or(Expectation::Undeclared);
        groups
            .entry((row.verdict, row.candidates.clone(), row.reason.clone()))
            .or_default()
            .push(Effect { expectation, ..row.effect.clone() });
    }
    groups
        .into_iter()
        .map(|((verdict, candidates, reason), mut effects)| {
            excuse(&mut effects, manifest);
            effects.sort_by_key(|effect| (effect.expectation == Expectation::Ordinary, effect.first_ns));
            Unowned { verdict, candidates, reason, effects }
        })
        .collect()
}

fn summary(evidence: &Evidence, origin: u64) -> CaseSummary {
    let manifest = evidence.manifest;
    let first = manifest.clock_pairs.first();
    let end = manifest.end.as_ref();
    CaseSummary {
        name: evidence.name.to_owned(),
        host: manifest.host.name.clone(),
        kernel: manifest.host.kernel.clone(),
        command: manifest.command.clone(),
        started_real_ns: first.map_or(0, |pair| pair.real_ns),
        started_boot_ns: origin,
        duration_ns: manifest.known_until(evidence.last_event_ns).saturating_sub(origin),
        events: evidence.event_count,
        spans: evidence.spans.len() as u64,
        processes: evidence.process_count,
        lost: manifest.losses.iter().fold(0, |sum, loss| sum.saturating_add(loss.count)),
        ended: end.map_or_else(|| "no end was recorded: killed, or still running".to_owned(), |end| end.reason.clone()),
        clean: end.is_some_and(|end| end.clean),
        manifest_sha256: evidence.manifest_sha256.to_owned(),
        signature: evidence.signature.clone(),
    }
}

fn notable(effect: &Effect) -> bool {
    if effect.changed_to.is_some() {
        return true;
    }
    match (effect.facet, effect.expectation) {
        (_, Expectation::Ordinary) => false,
        // Reads are many; those that matter are sensitive.
        (Facet::Read, Expectation::Undeclared | Expectation::Own) => ordinary::sensitive(&effect.object).is_some(),
        (_, Expectation::Undeclared | Expectation::Unconfirmed) => true,
        (facet, Expectation::Own) => facet != Facet::Read,
        (facet, _) => matches!(facet, Facet::Connect | Facet::Delete | Facet::Exec),
    }
}

fn timeline(judged: &[Judged], unowned: &[Unowned], gaps: Vec<TimelineEntry>, origin: u64) -> Vec<TimelineEntry> {
    let mut entries = gaps;
    for call in judged {
        let span = call.span;
        let entry = |at_ns, what: &str, text: String| TimelineEntry {
            at_ns,
            what: what.to_owned(),
            text,
            call: Some(call.number),
            call_name: Some(span.name.clone()),
            undeclared: false,
            event_ids: Vec::new(),
            note: None,
        };
        let start = span.start_boot_ns.saturating_sub(origin);
        entries.push(entry(start, "start", format!("{} {} begins", span.kind, span.name)));
        if let Some(end) = span.end_boot_ns {
            let status = span.status.as_deref().unwrap_or("no status");
            let end = end.saturating_sub(origin);
            entries.push(entry(end, "end", format!("{} {} ends: {status}", span.kind, span.name)));
        }
        for effect in call.effects.iter().filter(|effect| notable(effect)) {
            entries.push(effect_entry(effect, Some(call)));
        }
    }
    for effect in unowned.iter().flat_map(|group| &group.effects).filter(|effect| effect.count > 0 && notable(effect)) {
        entries.push(effect_entry(effect, None));
    }
    // Equal instants: a call begins before its effects and ends after them, and the record ends last.
    let order = |entry: &TimelineEntry| match entry.what.as_str() {
        "start" => 0,
        "end" => 2,
        "record" => 3,
        _ => 1,
    };
    entries.sort_by(|a, b| (a.at_ns, order(a), a.call, &a.text).cmp(&(b.at_ns, order(b), b.call, &b.text)));
    entries
}

fn effect_entry(effect: &Effect, call: Option<&Judged>) -> TimelineEntry {
    let mut text = done(effect);
    match effect.facet {
        Facet::Rename => text.extend(effect.detail.iter().map(|target| format!(" to {target}"))),
        Facet::Exec => text.extend(effect.detail.iter().map(|line| format!(": {line}"))),
        _ => {}
    }
    if effect.count > 1 {
        text.push_str(&format!(" ({} times)", effect.count));
    }
    TimelineEntry {
        at_ns: effect.first_ns,
        what: effect.facet.as_str().to_owned(),
        text,
        call: call.map(|call| call.number),
        call_name: call.map(|call| call.span.name.clone()),
        undeclared: effect.expectation == Expectation::Undeclared,
        event_ids: effect.event_ids.clone(),
        note: effect.by_memory(),
    }
}

fn done(effect: &Effect) -> String {
    let done = format!("{} {}", effect.facet.past_tense(), effect.object);
    if effect.outcome == "ok" { done } else { format!("tried, and got {}: {done}", effect.outcome) }
}

/// `connected to 203.0.113.66:80`, or `tried, and got ECONNREFUSED: ...`. That a name was changed meanwhile, or is that
/// of a link to another, goes with it wherever it is told.
pub(crate) fn act(effect: &Effect) -> String {
    let other = effect.changed_to.is_some() || effect.led_to.as_ref().is_some_and(|to| to != UNREAD);
    let how = effect.by_memory().filter(|_| other);
    done(effect) + &how.map(|how| format!(" ({how})")).unwrap_or_default()
}
