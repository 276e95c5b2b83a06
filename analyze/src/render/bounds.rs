//! How much of very much a page shows. A flood must neither make a page that nobody can open nor push out of it what
//! happened once: every class keeps its first members, and what is left out is counted, with where it is.

use std::collections::BTreeMap;

/// Where everything is that a page leaves out.
pub const ALL: &str = "`argus-analyze report CASE -o report.json` holds all";

/// At most about `most` of the items, in their order: each class keeps as many of its first as any other may.
pub fn fair<T, K: Ord>(items: Vec<T>, most: usize, class: impl Fn(&T) -> K) -> Vec<T> {
    if items.len() <= most {
        return items;
    }
    let mut sizes: BTreeMap<K, usize> = BTreeMap::new();
    for item in &items {
        *sizes.entry(class(item)).or_default() += 1;
    }
    let mut quota = 1;
    let (mut sorted, mut room): (Vec<usize>, usize) = (sizes.into_values().collect(), most);
    sorted.sort_unstable();
    let classes = sorted.len();
    for (index, size) in sorted.into_iter().enumerate() {
        // What small classes leave is the larger ones'.
        quota = (room / (classes - index)).max(1);
        if size > quota {
            break;
        }
        room = room.saturating_sub(size);
    }
    let mut taken: BTreeMap<K, usize> = BTreeMap::new();
    items
        .into_iter()
        .filter(|item| {
            let count = taken.entry(class(item)).or_default();
            *count += 1;
            *count <= quota
        })
        .take(most)
        .collect()
}

/// How many acts of one call a page shows, where it shows those of so many calls.
pub fn acts(groups: usize) -> usize {
    (20_000 / groups.max(1)).clamp(40, 400)
}

/// Names as a list: `a, b and 3 more`.
pub fn list(names: &[String], most: usize, between: &str) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(between);
    match names.len().saturating_sub(most) {
        0 => shown,
        left => format!("{shown} and {left} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items by their first letter.
    #[track_caller]
    fn check(items: &str, most: usize, expected: &str) {
        let items: Vec<&str> = items.split(' ').collect();
        assert_eq!(fair(items, most, |item| item.chars().next()).join(" "), expected);
    }

    #[test]
    fn a_flood_leaves_room_for_what_is_rare() {
        check("a1 a2 b1", 3, "a1 a2 b1");
        check("a1 a2 a3 a4 a5 a6 b1 a7 c1", 5, "a1 a2 a3 b1 c1");
        check("a1 a2 a3 b1 b2 b3 b4 c1", 5, "a1 a2 b1 b2 c1");
        check("a1 b1 c1 d1", 2, "a1 b1");
    }

    #[test]
    fn names_are_counted_where_they_are_many() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(list(&names, 3, " or "), "a or b or c");
        assert_eq!(list(&names, 2, ", "), "a, b and 1 more");
    }
}
