//! Which spans of two streams tell of one call: as edges between their places in the list.

use super::same::{meant, same_json, window};
use crate::import::instant::Interval;
use crate::span_log::HOOK;
use crate::spans::Span;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Splits a bucket where its members name more than one of something: those that name none then belong to none.
fn by_name<'a, T: Ord>(spans: &'a [Span], bucket: Vec<usize>, name: impl Fn(&'a Span) -> Option<T>) -> Vec<Vec<usize>> {
    let mut parts: BTreeMap<Option<T>, Vec<usize>> = BTreeMap::new();
    for index in &bucket {
        parts.entry(name(&spans[*index])).or_default().push(*index);
    }
    let names = parts.keys().flatten().count();
    if names < 2 { vec![bucket] } else { parts.into_values().collect() }
}

pub type Edges = Vec<(usize, usize)>;

pub fn by_span_id(spans: &[Span]) -> Edges {
    let mut buckets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, span) in spans.iter().enumerate() {
        buckets.entry(&span.span_id).or_default().push(index);
    }
    let parts = buckets.into_values().flat_map(|bucket| by_name(spans, bucket, |span| span.trace_id.as_deref()));
    parts.flat_map(|part| part.windows(2).map(|two| (two[0], two[1])).collect::<Vec<_>>()).collect()
}

/// `mcp__SERVER__TOOL` is what agents call the TOOL of a server.
pub fn plain_name(name: &str) -> &str {
    name.rsplit("__").next().unwrap_or(name)
}

/// A name that is the same for `mcp__SERVER__TOOL` and what Gemini CLI makes of it.
pub fn flat_name(name: &str) -> String {
    name.replace("__", "_")
}

/// Spans that have the same of something, by session.
fn buckets<'a, T: Ord>(spans: &'a [Span], same: impl Fn(&'a Span) -> Option<T>) -> Vec<Vec<usize>> {
    let mut buckets: BTreeMap<T, Vec<usize>> = BTreeMap::new();
    for (index, span) in spans.iter().enumerate() {
        if let Some(key) = same(span) {
            buckets.entry(key).or_default().push(index);
        }
    }
    let split = |bucket| by_name(spans, bucket, |span| span.session.as_deref());
    buckets.into_values().flat_map(split).filter(|bucket| bucket.len() > 1).collect()
}

/// Calls with the same id and name; of agents' runs, whose ids are never used for anything else, with the same id.
pub fn call_buckets(spans: &[Span]) -> Vec<Vec<usize>> {
    buckets(spans, |span| match (span.kind.as_str(), span.call_id.as_deref()) {
        ("tool", Some(call)) => Some((call, plain_name(&span.name))),
        ("agent", Some(call)) => Some((call, "")),
        _ => None,
    })
}

/// The spans of one stream in a bucket, to be asked which of them could have run at the same time as another.
struct Stream {
    /// Where each may have begun, in order, with the one of it and those before that may have ended last.
    begins: Vec<(u64, (u64, usize))>,
    /// Where each may have ended, in order.
    ends: Vec<u64>,
}

impl Stream {
    fn new(spans: &[Span], members: &[usize]) -> Self {
        let mut windows: Vec<(Interval, usize)> =
            members.iter().map(|index| (window(&spans[*index]), *index)).collect();
        windows.sort_unstable();
        let mut ends: Vec<u64> = windows.iter().map(|(window, _)| window.to_ns).collect();
        let begins = windows.iter().scan((0, 0), |last, (window, index)| {
            *last = (*last).max((window.to_ns, *index));
            Some((window.from_ns, *last))
        });
        let begins = begins.collect();
        ends.sort_unstable();
        Self { begins, ends }
    }

    /// The one that overlaps with a window, if it is the only one.
    fn only(&self, window: Interval) -> Option<usize> {
        let begun = self.begins.partition_point(|(from, _)| *from <= window.to_ns);
        let ended = self.ends.partition_point(|to| *to < window.from_ns);
        // Whichever of those that had begun ended last is the one that had not ended.
        (begun - ended == 1).then(|| self.begins[begun - 1].1.1)
    }
}

/// Two of a bucket are one call where each is the only one of its stream that the other can be.
fn only_ones(spans: &[Span], bucket: &[usize]) -> Edges {
    let mut edges = Vec::new();
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for index in bucket {
        members.entry(&spans[*index].source).or_default().push(*index);
    }
    let streams: BTreeMap<&str, Stream> =
        members.iter().map(|(source, members)| (*source, Stream::new(spans, members))).collect();
    for one in bucket {
        let of_one = spans[*one].source.as_str();
        for (_, stream) in streams.range::<str, _>((Bound::Excluded(of_one), Bound::Unbounded)) {
            let other = stream.only(window(&spans[*one]));
            let back = other.and_then(|other| streams.get(of_one)?.only(window(&spans[other])));
            if let Some(other) = other.filter(|_| back == Some(*one)) {
                edges.push((*one, other));
            }
        }
    }
    edges
}

pub fn by_call_id(spans: &[Span]) -> Edges {
    call_buckets(spans).iter().flat_map(|bucket| only_ones(spans, bucket)).collect()
}

/// The process that tells of a span of its own, as the kernel says; a messenger has none.
fn teller(span: &Span) -> Option<i32> {
    span.author_pid.filter(|_| span.for_pid.is_none())
}

/// A span within another that tells of the same call, with that one: of the same tool, told the same, and the only one of
/// whoever told it. One that was tried again has several.
pub fn within_another(spans: &[Span]) -> Vec<(usize, usize)> {
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for (index, span) in spans.iter().enumerate() {
        by_id.entry(&span.span_id).or_insert(index);
    }
    let mut tellers: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, inner) in spans.iter().enumerate().filter(|(_, span)| span.kind == "tool") {
        let Some(outer) = inner.parent_id.as_deref().and_then(|parent| by_id.get(parent)).copied() else { continue };
        let tells_of = |outer: &Span| {
            let of_one_trace = outer.trace_id.is_none() || inner.trace_id.is_none() || outer.trace_id == inner.trace_id;
            outer.kind == "tool"
                && of_one_trace
                && plain_name(&outer.name) == plain_name(&inner.name)
                && window(outer).both(window(inner)).is_some()
        };
        if index != outer && tells_of(&spans[outer]) {
            let teller = (inner.source.as_str(), inner.author_pid, inner.for_pid);
            tellers.entry((outer, teller)).or_default().push(index);
        }
    }
    let only = |((outer, _), inner): (_, Vec<usize>)| match inner.as_slice() {
        [inner] => Some((*inner, outer)),
        _ => None,
    };
    // The model's id of a call is the caller's; a request has one of its own.
    let own_id = |span: &Span| Span { session: span.session.clone(), args: span.args.clone(), ..Span::default() };
    let one = |(inner, outer): &(usize, usize)| may_be_one(&own_id(&spans[*inner]), &spans[*outer]);
    tellers.into_iter().filter_map(only).filter(one).collect()
}

/// One that lies within another of the same process by what it says of its trace.
pub fn by_context(spans: &[Span]) -> Edges {
    let own = |(inner, outer): &(usize, usize)| {
        let (inner, outer) = (&spans[*inner], &spans[*outer]);
        let one_process = match (inner.author_pid, outer.author_pid) {
            (Some(_), Some(_)) => teller(inner).is_some() && teller(inner) == teller(outer),
            // A log that was added has no process of its own. What somebody sent within a call that only such a log tells of may
            // come from the call itself.
            (None, _) => true,
            (Some(_), None) => false,
        };
        inner.source != outer.source && one_process
    };
    within_another(spans).into_iter().filter(own).collect()
}

/// What a call says, the same whoever writes it down.
fn words(span: &Span) -> Option<String> {
    let mut args = meant(span.args.as_deref()?)?;
    args.sort_all_objects();
    Some(args.to_string())
}

/// Two are one call where one is told without an id, both say the same, and each is the only one that the other can be.
pub fn by_words(spans: &[Span]) -> Edges {
    let unnumbered = |span: &Span| span.source == HOOK && span.call_id.is_none();
    if !spans.iter().any(unnumbered) {
        return Edges::new();
    }
    let buckets = buckets(spans, |span| {
        matches!(span.kind.as_str(), "tool" | "agent").then_some(())?;
        Some((flat_name(&span.name), words(span)?))
    });
    // Whoever is started for a call can say its words as well as the agent.
    let home = |span: &Span| span.for_pid.or(span.author_pid);
    let elsewhere = |one: &Span, other: &Span| home(one).zip(home(other)).is_some_and(|(one, other)| one != other);
    let edges = buckets.iter().flat_map(|bucket| only_ones(spans, bucket));
    let may_be = |(one, other): &(usize, usize)| {
        let (one, other) = (&spans[*one], &spans[*other]);
        unnumbered(one) != unnumbered(other) && !elsewhere(one, other)
    };
    edges.filter(may_be).collect()
}

/// What two streams of one process tell of the same name and with the same arguments, where no id is common to them.
pub fn by_arguments(spans: &[Span]) -> Edges {
    let told = |span: &Span| words(span).filter(|words| words.starts_with('{') && words != "{}");
    let buckets = buckets(spans, |span| {
        (span.kind == "tool").then_some(())?;
        Some((teller(span)?, plain_name(&span.name), told(span)?))
    });
    let edges = buckets.iter().flat_map(|bucket| only_ones(spans, bucket));
    edges.filter(|(one, other)| may_be_one(&spans[*one], &spans[*other])).collect()
}

/// What two streams of one process tell of the same kind and name, where one of them does not say with which arguments.
pub fn by_act(spans: &[Span]) -> Edges {
    let acts = |span: &Span| matches!(span.kind.as_str(), "tool" | "llm" | "agent");
    let buckets = buckets(spans, |span| {
        acts(span).then_some(())?;
        Some((teller(span)?, span.kind.as_str(), plain_name(&span.name)))
    });
    let edges = buckets.iter().flat_map(|bucket| only_ones(spans, bucket));
    edges.filter(|(one, other)| may_be_one(&spans[*one], &spans[*other])).collect()
}

/// Whether nothing that two spans say of a call sets them apart.
pub fn may_be_one(one: &Span, other: &Span) -> bool {
    let none_or_same =
        |one: &Option<String>, other: &Option<String>, same: &dyn Fn(&str, &str) -> bool| match (one, other) {
            (Some(one), Some(other)) => same(one, other),
            _ => true,
        };
    let arguments = |one: &str, other: &str| one == "{}" || other == "{}" || same_json(one, other);
    none_or_same(&one.call_id, &other.call_id, &|one, other| one == other)
        && none_or_same(&one.session, &other.session, &|one, other| one == other)
        && none_or_same(&one.args, &other.args, &arguments)
}
