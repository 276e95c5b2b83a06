//! What must hold of the spans of any log: ids are unique, and parents make no circle.

use super::Imported;
use std::collections::HashMap;

/// Makes it hold, and counts where it did not.
pub(super) fn settle(imported: &mut Imported) {
    let mut all = std::mem::take(&mut imported.spans);
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut used: HashMap<String, u64> = HashMap::new();
    let mut kept: Vec<super::ForeignSpan> = Vec::with_capacity(all.len());
    for mut span in all.drain(..) {
        let Some(index) = first.get(&span.span_id) else {
            first.insert(span.span_id.clone(), kept.len());
            kept.push(span);
            continue;
        };
        if kept[*index] == span {
            imported.doubt("said twice, with the same words", &span.span_id, "");
            continue;
        }
        imported.doubt("another span with an id that was used already", &span.span_id, &span.name);
        let number = used.entry(span.span_id.clone()).or_insert(1);
        loop {
            *number += 1;
            let id = format!("{}#{number}", span.span_id);
            if !first.contains_key(&id) {
                span.span_id = id;
                break;
            }
        }
        first.insert(span.span_id.clone(), kept.len());
        kept.push(span);
    }
    let parent = |index: usize| first.get(kept[index].parent_id.as_ref()?).copied();
    for index in circles(kept.len(), parent).into_iter().map(|circle| circle[0]) {
        imported.doubt("a parent that is its own descendant; it was left out", &kept[index].span_id, &kept[index].name);
        kept[index].parent_id = None;
    }
    kept.sort_by_key(|span| span.start.from_ns);
    imported.spans = kept;
}

/// Every circle of `count` things, each of which has a parent or none: each thing of it, followed by its parent. Every thing is
/// walked over once.
pub fn circles(count: usize, parent: impl Fn(usize) -> Option<usize>) -> Vec<Vec<usize>> {
    let mut done = vec![false; count];
    let mut found = Vec::new();
    for start in 0..count {
        let mut path = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut at = Some(start);
        while let Some(index) = at.filter(|index| !done[*index]) {
            if let Some(place) = places.insert(index, path.len()) {
                found.push(path[place..].to_vec());
                break;
            }
            path.push(index);
            at = parent(index);
        }
        for index in path {
            done[index] = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::ForeignSpan;

    fn check(spans: &[(&str, Option<&str>, &str)], expected: &[(&str, Option<&str>)], doubts: u64) {
        let mut imported = Imported {
            spans: spans
                .iter()
                .map(|(id, parent, name)| ForeignSpan {
                    span_id: (*id).to_owned(),
                    parent_id: parent.map(str::to_owned),
                    name: (*name).to_owned(),
                    ..ForeignSpan::default()
                })
                .collect(),
            ..Imported::default()
        };
        settle(&mut imported);
        let got: Vec<_> =
            imported.spans.iter().map(|span| (span.span_id.as_str(), span.parent_id.as_deref())).collect();
        assert_eq!(got, expected);
        assert_eq!(imported.counts.doubts.values().map(|trouble| trouble.count).sum::<u64>(), doubts);
    }

    #[test]
    fn ids_become_unique_and_no_call_is_lost() {
        check(&[("a", None, "x"), ("a", None, "x")], &[("a", None)], 1);
        check(&[("a", None, "x"), ("a", None, "y"), ("a", None, "z")], &[("a", None), ("a#2", None), ("a#3", None)], 2);
        check(
            &[("a", None, "x"), ("a#2", None, "q"), ("a", None, "y")],
            &[("a", None), ("a#2", None), ("a#3", None)],
            1,
        );
    }

    #[test]
    fn an_id_that_is_used_very_often_takes_little_time() {
        let names: Vec<String> = (0..50_000).map(|number| number.to_string()).collect();
        let spans: Vec<_> = names.iter().map(|name| ("a", None, name.as_str())).collect();
        let ids: Vec<_> =
            (1..=50_000).map(|number| if number == 1 { "a".to_owned() } else { format!("a#{number}") }).collect();
        let expected: Vec<_> = ids.iter().map(|id| (id.as_str(), None)).collect();
        check(&spans, &expected, 49_999);
    }

    #[test]
    fn circles_are_opened_once() {
        check(&[("a", Some("a"), "")], &[("a", None)], 1);
        let ring = [("a", Some("b"), ""), ("b", Some("c"), ""), ("c", Some("a"), ""), ("d", Some("b"), "")];
        check(&ring, &[("a", None), ("b", Some("c")), ("c", Some("a")), ("d", Some("b"))], 1);
        check(&[("a", Some("gone"), ""), ("b", Some("a"), "")], &[("a", Some("gone")), ("b", Some("a"))], 0);
    }
}
