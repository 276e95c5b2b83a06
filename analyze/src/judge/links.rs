//! What one call did by way of another: it ran what the other had left for it, or reached into the other's process.

use super::ordinary;
use argus_schemas::report::{Finding, Link, Severity, Way};
use argus_schemas::spans::Span;
use std::collections::HashMap;

/// How many objects a finding lists.
const LISTED: usize = 10;

/// The links between calls that somebody should look at.
pub(super) fn findings<'a>(links: &'a [Link], by_id: &'a HashMap<&str, &Span>) -> impl Iterator<Item = Finding> + 'a {
    links.iter().filter_map(move |link| {
        let name = |id: &str| by_id.get(id).map_or_else(|| format!("span {id}"), |span| format!("`{}`", span.name));
        let (from, to) = (name(&link.from), link.to.as_deref().map_or_else(|| "the agent".to_owned(), name));
        let object = link.objects.first()?.taken();
        let others = if link.count > 1 { format!(" and {} more", link.count - 1) } else { String::new() };
        let lasting = link.objects.iter().find_map(|one| ordinary::persistent(one.taken()));
        let (rule, severity, title, actor) = match link.way {
            Way::Executed => (
                "executed-what-another-wrote",
                if lasting.is_some() { Severity::Medium } else { Severity::Low },
                match link.objects.first()?.deed {
                    None => format!("{to} executed what {from} had written: {object}{others}"),
                    Some(deed) => format!("{to} executed what {from} had {}: {object}{others}", deed.as_str()),
                },
                link.to.as_deref(),
            ),
            Way::Signal | Way::Ptrace | Way::MemoryWritten | Way::MemoryRead => (
                "reached-into-another-call",
                if link.way == Way::Signal { Severity::Low } else { Severity::Medium },
                format!("{from} {} {object}, which {to} had started{others}", link.way.given()),
                Some(link.from.as_str()),
            ),
            Way::Read | Way::Opened | Way::Pipe | Way::Socket | Way::Descriptor => return None,
        };
        let sides = |one: &argus_schemas::report::Linked| {
            format!(
                "{}: {from} in event {}, {to} in event {} (processes {} and {}).",
                one.object, one.from_event, one.to_event, one.from_pid, one.to_pid
            )
        };
        let mut details: Vec<String> = link.objects.iter().take(LISTED).map(sides).collect();
        details.extend(lasting.filter(|_| link.way == Way::Executed).map(|why| format!("Of such a file: {why}.")));
        Some(Finding {
            details,
            at_ns: Some(link.first_ns),
            event_ids: link.objects.iter().take(LISTED).flat_map(|one| [one.from_event, one.to_event]).collect(),
            span_id: actor.map(str::to_owned),
            span_name: actor.and_then(|id| by_id.get(id)).map(|span| span.name.clone()),
            ..Finding::new(rule, severity, title)
        })
    })
}
