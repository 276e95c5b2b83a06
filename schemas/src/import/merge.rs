//! Several streams may tell of one call: an SDK, OTLP, a hook, a transcript. They become one span, so that no call is
//! counted twice and none competes with itself for what the kernel saw.
//!
//! Two spans are one call where they have the same span id (and no two trace ids), or where the model's id of the call
//! and the tool's name are the same, no two sessions are named, and both could have run at the same time. So are two of
//! which one lies within the other by its trace context, or which one process tells and that share no id, if both are of
//! the same name, were told the same, and each is the only one that the other can be. What one stream tells twice under
//! different ids are two calls: ids of calls are used again by some. A hook that is told no id of the call tells what it
//! says, which takes the id's place; of two that say the same at once, nobody knows which is which.
//!
//! The strongest provenance gives the span its id and fields; weaker ones fill what it leaves open and narrow its
//! instants. Where they contradict each other, that is a [`Difference`]; that one tells more of a call than another, its
//! setting up or the fields of its result, is none.

pub(super) mod edges;
pub(super) mod same;

use super::instant::Interval;
use crate::span_log::{ABANDONED, HOOK};
use crate::spans::Span;
use edges::{by_act, by_arguments, by_call_id, by_context, by_span_id, by_words, call_buckets, flat_name, plain_name};
use same::{only_annotations, same_json, same_result, window};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Two that listen to one framework are told of the beginning and the end of a call one after the other. They contradict each
/// other about no instant that is only so far from the other's, in nanoseconds: such listeners do little but write down.
const APART: u64 = 10_000_000;

/// A contradiction between two streams about one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The span that the call became.
    pub span_id: String,
    /// The column; `start_boot_ns` and `end_boot_ns` are shown with their errors.
    pub field: &'static str,
    /// What was kept, and from which source.
    pub kept: (String, String),
    /// What was not, and from which source.
    pub other: (String, String),
}

/// The calls of all streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// In order of their start.
    pub spans: Vec<Span>,
    /// Sorted.
    pub differences: Vec<Difference>,
    /// Ids of spans that became part of another, with that one's id: trace contexts and marks may name them.
    pub aliases: BTreeMap<String, String>,
}

/// Joins what tells of the same call. The order of the spans makes no difference.
pub fn merge(spans: Vec<Span>) -> Merged {
    let mut merged = Merged { spans, ..Merged::default() };
    let mut tellers = Tellers::default();
    loop {
        let before = merged.spans.len();
        merged.spans.sort_by_cached_key(|span| (span.start_boot_ns, span.span_id.clone(), canonical(span)));
        for edges in [by_span_id, by_call_id, by_context, by_words, by_arguments, by_act] {
            let mut edges = edges(&merged.spans);
            edges.retain(|(one, other)| tellers.differ(&merged.spans[*one], &merged.spans[*other]));
            let groups = groups(&merged.spans, &edges);
            join(&mut merged, &mut tellers, groups);
        }
        if merged.spans.len() == before {
            break;
        }
    }
    told_apart(&mut merged);
    merged.differences.sort();
    merged.differences.dedup();
    merged
}

/// A text that differs where anything does.
fn canonical(span: &Span) -> String {
    format!("{span:?}")
}

/// How far a span's provenance goes, weakest first.
fn strength(span: &Span) -> u8 {
    match span.source.as_str() {
        "hook" => 3,
        "otlp" if span.received_boot_ns.is_some() => 4,
        // Whatever else came with the kernel's word for who sent it.
        _ if span.author_pid.is_some() => 5,
        "socket" | "file" => 2,
        _ => 1,
    }
}

/// The connected groups. One that holds two spans of one stream that are not the same is taken apart again: either two
/// calls, or somebody else spoke with the id of one.
fn groups(spans: &[Span], edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut root: Vec<usize> = (0..spans.len()).collect();
    let find = |root: &mut [usize], mut at: usize| {
        while root[at] != at {
            root[at] = root[root[at]];
            at = root[at];
        }
        at
    };
    for (one, other) in edges {
        let (one, other) = (find(&mut root, *one), find(&mut root, *other));
        root[one.max(other)] = one.min(other);
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..spans.len() {
        groups.entry(find(&mut root, index)).or_default().push(index);
    }
    let sound = |group: &[usize]| {
        let mut first: HashMap<&str, &Span> = HashMap::new();
        group.iter().map(|index| &spans[*index]).all(|span| {
            let before = first.entry(&span.source).or_insert(span);
            before.span_id == span.span_id
                && (before.author_pid, before.author_uid) == (span.author_pid, span.author_uid)
        })
    };
    let apart = |group: Vec<usize>| match sound(&group) {
        true => vec![group],
        false => group.into_iter().map(|index| vec![index]).collect(),
    };
    groups.into_values().flat_map(apart).collect()
}

/// The streams that have told of a span already, by its id.
#[derive(Default)]
struct Tellers(HashMap<String, BTreeSet<String>>);

impl Tellers {
    /// Whether no stream has told of both, or both have one id: what one stream tells twice under different ids are two calls.
    fn differ(&self, one: &Span, other: &Span) -> bool {
        let told = |span: &Span, source: &str| {
            span.source == source || self.0.get(&span.span_id).is_some_and(|sources| sources.contains(source))
        };
        let of_one = self.0.get(&one.span_id).into_iter().flatten().chain([&one.source]);
        one.span_id == other.span_id || !of_one.into_iter().any(|source| told(other, source))
    }

    fn add(&mut self, span: &Span, weaker: &Span) {
        let absorbed = self.0.remove(&weaker.span_id).unwrap_or_default();
        let sources = self.0.entry(span.span_id.clone()).or_default();
        sources.extend(absorbed.into_iter().chain([weaker.source.clone()]));
    }
}

/// Makes one span of every group.
fn join(merged: &mut Merged, tellers: &mut Tellers, groups: Vec<Vec<usize>>) {
    let mut all: Vec<Option<Span>> = std::mem::take(&mut merged.spans).into_iter().map(Some).collect();
    let mut aliases = BTreeMap::new();
    for group in groups {
        let mut members: Vec<Span> = group.into_iter().filter_map(|index| all[index].take()).collect();
        members.sort_by_cached_key(|span| (u8::MAX - strength(span), canonical(span)));
        let ids: Vec<String> = members.iter().map(|span| span.span_id.clone()).collect();
        for span in &mut members {
            // One stream may nest what another tells as one.
            span.parent_id = span.parent_id.take().filter(|parent| !ids.contains(parent));
        }
        let mut members = members.into_iter();
        let Some(mut strongest) = members.next() else { continue };
        let mut joined = false;
        for weaker in members {
            if weaker.span_id != strongest.span_id {
                aliases.insert(weaker.span_id.clone(), strongest.span_id.clone());
            }
            tellers.add(&strongest, &weaker);
            fold(&mut strongest, weaker, &mut merged.differences);
            joined = true;
        }
        if let Some(end) = strongest.end_boot_ns.filter(|_| joined) {
            // One stream's start and another's end, each narrow, can be out of order within their errors.
            let start = Interval::around(strongest.start_boot_ns, strongest.start_err_ns);
            let (start, end) = Interval::in_order(start, Interval::around(end, strongest.end_err_ns));
            (strongest.start_boot_ns, strongest.start_err_ns) = start.middle_and_error();
            let (end, error) = end.middle_and_error();
            (strongest.end_boot_ns, strongest.end_err_ns) = (Some(end), error);
        }
        merged.spans.push(strongest);
    }
    let alive: BTreeSet<String> = merged.spans.iter().map(|span| span.span_id.clone()).collect();
    aliases.retain(|absorbed, _| !alive.contains(absorbed));
    let now = |id: &mut String| {
        if let Some(kept) = aliases.get(id) {
            id.clone_from(kept);
        }
    };
    merged.spans.iter_mut().filter_map(|span| span.parent_id.as_mut()).for_each(now);
    merged.aliases.values_mut().for_each(now);
    merged.differences.iter_mut().for_each(|difference| now(&mut difference.span_id));
    merged.aliases.extend(aliases);
}

/// Adds what a weaker stream tells.
pub(super) fn fold(kept: &mut Span, weaker: Span, differences: &mut Vec<Difference>) {
    let (id, source) = (kept.span_id.clone(), kept.source.clone());
    let mut differ = |field, one: String, other: String| {
        differences.push(Difference {
            span_id: id.clone(),
            field,
            kept: (one, source.clone()),
            other: (other, weaker.source.clone()),
        });
    };
    // Somebody else, as the kernel says, may not tell when this call was.
    let other_author = kept.author_pid.is_some() && weaker.author_pid.is_some() && kept.author_pid != weaker.author_pid;
    let around = |at: u64, error: u64| Interval::around(at, error);
    let shown = |at: u64, error: u64| format!("{at} +- {error}");

    let (one, other) =
        (around(kept.start_boot_ns, kept.start_err_ns), around(weaker.start_boot_ns, weaker.start_err_ns));
    // One stream may tell of more of a call than another, its setting up and its clearing away: that is no contradiction.
    let (of_kept, of_weaker) = (window(kept), window(&weaker));
    let holds = |outer: Interval, inner: Interval| outer.from_ns <= inner.from_ns && inner.to_ns <= outer.to_ns;
    let nested = holds(of_kept, of_weaker) || holds(of_weaker, of_kept);
    let listeners = |one: u64, other: u64| !other_author && one.abs_diff(other) <= APART;
    match one.both(other) {
        Some(both) if !other_author => (kept.start_boot_ns, kept.start_err_ns) = both.middle_and_error(),
        Some(_) => {}
        None if nested || listeners(kept.start_boot_ns, weaker.start_boot_ns) => {}
        None => differ(
            "start_boot_ns",
            shown(kept.start_boot_ns, kept.start_err_ns),
            shown(weaker.start_boot_ns, weaker.start_err_ns),
        ),
    }
    match (kept.end_boot_ns, weaker.end_boot_ns) {
        (Some(one), Some(other)) => match around(one, kept.end_err_ns).both(around(other, weaker.end_err_ns)) {
            Some(both) if !other_author => {
                let (end, error) = both.middle_and_error();
                (kept.end_boot_ns, kept.end_err_ns) = (Some(end), error);
            }
            Some(_) => {}
            None if nested || listeners(one, other) => {}
            None => differ("end_boot_ns", shown(one, kept.end_err_ns), shown(other, weaker.end_err_ns)),
        },
        (None, Some(end)) if !other_author && end.saturating_add(weaker.end_err_ns) >= window(kept).from_ns => {
            (kept.end_boot_ns, kept.end_err_ns) = (Some(end), weaker.end_err_ns);
        }
        (None, Some(end)) => differ("end_boot_ns", "never".to_owned(), shown(end, weaker.end_err_ns)),
        (_, None) => {}
    }

    // A log that does not know the name gives the id in its place.
    let unnamed = |span: &Span| span.name == span.span_id;
    if unnamed(kept) {
        kept.name.clone_from(&weaker.name);
    } else if kept.name == plain_name(&weaker.name) {
        // The name that says whose tool it is.
        kept.name.clone_from(&weaker.name);
    } else if plain_name(&kept.name) != weaker.name
        && flat_name(&kept.name) != flat_name(&weaker.name)
        && !unnamed(&weaker)
    {
        differ("name", kept.name.clone(), weaker.name.clone());
    }
    if kept.kind != weaker.kind {
        differ("kind", kept.kind.clone(), weaker.kind.clone());
    }
    let plain = |one: &str, other: &str| one == other;
    // Every source has ids of its own for what encloses a call; only those of one trace can be compared.
    let of_one_trace = kept.trace_id.is_some() && kept.trace_id == weaker.trace_id;
    let parents = |one: &str, other: &str| one == other || !of_one_trace;
    // Of a call whose end no hook told, another log may tell how it ended; only a good end says that it ran.
    let (told, of_weaker) = (kept.status.as_deref(), weaker.status.as_deref());
    let statuses = |one: &str, other: &str| one == other || one == ABANDONED || other == ABANDONED;
    if told == Some(ABANDONED) && of_weaker == Some("ok") {
        kept.status.clone_from(&weaker.status);
    }
    let mut fill = |field, kept: &mut Option<String>, weaker: Option<String>, same: &dyn Fn(&str, &str) -> bool| match (
        kept.as_deref(),
        weaker,
    ) {
        (None, weaker) => *kept = weaker,
        (Some(one), Some(other)) if !same(one, &other) => differ(field, one.to_owned(), other),
        _ => {}
    };
    // Two that trace for themselves have a trace each.
    fill("trace_id", &mut kept.trace_id, weaker.trace_id, &|_, _| true);
    fill("parent_id", &mut kept.parent_id, weaker.parent_id, &parents);
    fill("call_id", &mut kept.call_id, weaker.call_id, &plain);
    fill("session", &mut kept.session, weaker.session, &plain);
    fill("status", &mut kept.status, weaker.status, &statuses);
    fill("result", &mut kept.result, weaker.result, &same_result);
    // What a call was told and declares excuses what it does: that is nobody else's to say.
    if !other_author || kept.args.is_some() {
        fill("args", &mut kept.args, weaker.args, &same_json);
    }
    if !other_author || weaker.declares.as_deref().is_some_and(only_annotations) {
        fill("declares", &mut kept.declares, weaker.declares, &same_json);
    }
    match (kept.pid, weaker.pid) {
        (None, pid) => (kept.pid, kept.tid) = (pid, weaker.tid),
        (Some(one), Some(other)) if one != other => differ("pid", one.to_string(), other.to_string()),
        (Some(_), pid) => kept.tid = kept.tid.or(weaker.tid.filter(|_| pid.is_some())),
    }
    if kept.author_pid.is_none() {
        (kept.author_pid, kept.author_uid) = (weaker.author_pid, weaker.author_uid);
        (kept.for_pid, kept.end_author_pid) = (weaker.for_pid, weaker.end_author_pid);
        kept.author_address = kept.author_address.or(weaker.author_address);
    }
    let earlier = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    // A hook speaks before its call begins, so that its receipt is no bound of when another log says that it began; nor is
    // that of a listener that was told of it before.
    let from_ns = kept.start_boot_ns.saturating_sub(kept.start_err_ns);
    if weaker.source != HOOK && weaker.received_boot_ns.is_none_or(|received| received >= from_ns) {
        kept.received_boot_ns = earlier(kept.received_boot_ns, weaker.received_boot_ns);
    }
    kept.end_received_boot_ns = earlier(kept.end_received_boot_ns, weaker.end_received_boot_ns);
}

/// What two streams tell under one id of a call, each once, but at times that cannot be the same.
fn told_apart(merged: &mut Merged) {
    for bucket in call_buckets(&merged.spans) {
        let [one, other] = bucket.as_slice() else { continue };
        let (one, other) = (&merged.spans[*one], &merged.spans[*other]);
        if one.source == other.source || window(one).both(window(other)).is_some() {
            continue;
        }
        let (kept, weaker) = if strength(one) >= strength(other) { (one, other) } else { (other, one) };
        let shown = |span: &Span| (format!("{} +- {}", span.start_boot_ns, span.start_err_ns), span.source.clone());
        merged.differences.push(Difference {
            span_id: kept.span_id.clone(),
            field: "start_boot_ns",
            kept: shown(kept),
            other: shown(weaker),
        });
    }
}

#[cfg(test)]
mod tests;
