//! Where symbolic links lead from names that only the program's memory tells.
//!
//! Of a call that changes the file that a name leads to, and whose name is read from its argument, the record has the
//! name and not the file. Whether a link lay there is known where the record shows one being made, and that none lay
//! there where it shows the very file being opened by that path, which the kernel resolved, with nothing put in its
//! place between.

use super::is_kind;
use crate::error::Result;
use argus_schemas::events::Kind;
use argus_schemas::report::UNREAD;
use polars::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The column that [`join`] adds: where a link leads that may have been followed, or [`UNREAD`].
pub const COLUMN: &str = "led_to";

/// Something that tells what lies at a name, or changes it.
enum Turn {
    /// The kernel resolved a path to this one.
    Opened(String),
    /// A link was made there, to somewhere.
    Linked(String, String),
    /// Something was moved or linked from one name to another.
    Moved(String, String),
    /// A call changed what a name leads to.
    Followed(u64, String),
}

/// Adds [`COLUMN`] to the events.
///
/// # Errors
/// What polars fails with.
pub fn join(events: &LazyFrame) -> Result<LazyFrame> {
    let (ids, targets): (Vec<u64>, Vec<String>) = led_to(turns(events)?).into_iter().unzip();
    if ids.is_empty() {
        return Ok(events.clone().with_column(lit(NULL).cast(DataType::String).alias(COLUMN)));
    }
    let led = df!("event_id" => ids, COLUMN => targets)?.lazy();
    Ok(events.clone().join(led, [col("event_id")], [col("event_id")], JoinArgs::new(JoinType::Left)))
}

/// All that matters for the names that calls followed, in order of time.
fn turns(events: &LazyFrame) -> Result<Vec<Turn>> {
    let followed = col("missing").list().contains(lit("path:link_followed"), false).fill_null(lit(false));
    let columns = ["event_id", "boot_ns", "kind", "path", "path2"].map(col);
    let acts = events.clone().filter(followed).select(columns.clone()).collect()?;
    if acts.height() == 0 {
        return Ok(Vec::new());
    }
    let names = df!("name" => acts.column("path")?.unique()?.str()?.clone())?.lazy();
    let succeeded = col("ret").gt_eq(lit(0i64));
    // The link itself can be opened too, for its path alone.
    let is_link = col("mode").and(lit(0o170_000u32)).eq(lit(0o120_000u32)).fill_null(lit(false));
    let opened = events
        .clone()
        .filter(
            is_kind(&[Kind::Open]).and(col("path_from").eq(lit("kernel"))).and(succeeded.clone()).and(is_link.not()),
        )
        .select(columns.clone())
        .join(names, [col("path")], [col("name")], JoinArgs::new(JoinType::Semi))
        .collect()?;
    let changed = events
        .clone()
        .filter(is_kind(&[Kind::Symlink, Kind::Rename, Kind::Link]).and(succeeded))
        .select(columns)
        .collect()?;
    let mut turns: Vec<(u64, u64, Turn)> = Vec::new();
    for frame in [&acts, &opened, &changed] {
        let (id, at) = (frame.column("event_id")?.u64()?, frame.column("boot_ns")?.u64()?);
        let (kind, path, path2) =
            (frame.column("kind")?.str()?, frame.column("path")?.str()?, frame.column("path2")?.str()?);
        for row in 0..frame.height() {
            let (Some(id), Some(at), Some(path)) = (id.get(row), at.get(row), path.get(row)) else { continue };
            let (path, other) = (path.to_owned(), path2.get(row).unwrap_or(UNREAD).to_owned());
            let turn = match kind.get(row).and_then(Kind::from_text) {
                Some(Kind::Open) => Turn::Opened(path),
                Some(Kind::Symlink) => Turn::Linked(path, other),
                Some(Kind::Rename | Kind::Link) => Turn::Moved(path, other),
                _ => Turn::Followed(id, path),
            };
            turns.push((at, id, turn));
        }
    }
    turns.sort_by_key(|(at, id, _)| (*at, *id));
    Ok(turns.into_iter().map(|(_, _, turn)| turn).collect())
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What a link at `path` leads to, as text.
fn resolved(path: &str, target: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let whole = if target.starts_with('/') { target.to_owned() } else { format!("{folder}/{target}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// By event: where a link may have led it.
fn led_to(turns: Vec<Turn>) -> BTreeMap<u64, String> {
    // Whoever puts a link in a file's place can name the place otherwise, through a linked folder: what was given a name
    // whose last part is one of a path's may lie on that path.
    let mut given: HashMap<String, usize> = HashMap::new();
    let mut opened: HashMap<String, usize> = HashMap::new();
    let mut links: HashMap<String, String> = HashMap::new();
    // Whether nothing of a path was given its name since this turn.
    let untouched = |given: &HashMap<String, usize>, path: &str, since: usize| {
        path.split('/').all(|part| given.get(part).is_none_or(|at| *at < since))
    };
    let mut found = BTreeMap::new();
    // Those of which nothing was known yet; what is opened there later, with nothing changed between, was there before.
    let mut waiting: HashMap<String, Vec<(usize, u64)>> = HashMap::new();
    for (now, turn) in turns.into_iter().enumerate() {
        match turn {
            Turn::Opened(path) => {
                for (since, event) in waiting.remove(&path).unwrap_or_default() {
                    if untouched(&given, &path, since) {
                        found.remove(&event);
                    }
                }
                opened.insert(path, now);
            }
            Turn::Linked(path, target) => {
                given.insert(last_part(&path).to_owned(), now);
                links.insert(path.clone(), resolved(&path, &target));
            }
            Turn::Moved(from, to) => {
                given.insert(last_part(&to).to_owned(), now);
                match links.get(&from).cloned() {
                    Some(target) => drop(links.insert(to, target)),
                    None => drop(links.remove(&to)),
                }
            }
            Turn::Followed(event, path) => {
                if opened.get(&path).is_some_and(|at| untouched(&given, &path, *at)) {
                    continue;
                }
                match through(&links, &path) {
                    Some(target) => drop(found.insert(event, target)),
                    None => {
                        found.insert(event, UNREAD.to_owned());
                        waiting.entry(path).or_default().push((now, event));
                    }
                }
            }
        }
    }
    found
}

/// Where the links that are known lead from a path, if one lies on it.
fn through(links: &HashMap<String, String>, path: &str) -> Option<String> {
    let mut path = path.to_owned();
    let mut seen = HashSet::new();
    // Each can lead to another one, and in a circle.
    while seen.insert(path.clone()) {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        let hit = ends.into_iter().find_map(|end| Some((end, links.get(&path[..end])?)));
        let Some((end, target)) = hit else { break };
        path = format!("{target}{}", &path[end..]);
    }
    (seen.len() > 1).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a change of `/w/d/a` was led, after and before these turns.
    #[track_caller]
    fn check(before: &[(&str, &str, &str)], after: &[(&str, &str, &str)], expected: Option<&str>) {
        let turn = |(what, one, other): &(&str, &str, &str)| {
            let (one, other) = ((*one).to_owned(), (*other).to_owned());
            match *what {
                "open" => Turn::Opened(one),
                "link" => Turn::Linked(one, other),
                _ => Turn::Moved(one, other),
            }
        };
        let act = Turn::Followed(7, "/w/d/a".to_owned());
        let turns = before.iter().map(turn).chain([act]).chain(after.iter().map(turn)).collect();
        assert_eq!(led_to(turns).get(&7).map(String::as_str), expected);
    }

    #[test]
    fn what_the_record_shows_of_links() {
        check(&[], &[], Some(UNREAD));
        check(&[("open", "/w/d/a", "")], &[], None);
        check(&[("link", "/w/d/a", "../out/x")], &[], Some("/w/out/x"));
        check(&[("link", "/w/d", "/out")], &[], Some("/out/a"));
        check(&[("link", "/w/d/b", "/out"), ("move", "/w/d/b", "/w/d/a")], &[], Some("/out"));
        check(&[("link", "/w/d/a", "/w/d/b"), ("link", "/w/d/b", "/w/d/a")], &[], Some("/w/d/a"));
        // The last that is known of it counts, also if the place was named otherwise.
        check(&[("open", "/w/d/a", ""), ("link", "/w/d/a", "/out")], &[], Some("/out"));
        check(&[("link", "/w/d/a", "/out"), ("open", "/w/d/a", "")], &[], None);
        check(&[("open", "/w/d/a", ""), ("link", "/w/e/a", "/out")], &[], Some(UNREAD));
        check(&[("open", "/w/d/a", ""), ("move", "/w/e", "/w/d")], &[], Some(UNREAD));
        check(&[("open", "/w/d/a", ""), ("link", "/w/d/c", "/out")], &[], None);
        // What is opened afterwards was there before, unless it was put there between.
        check(&[], &[("open", "/w/d/a", "")], None);
        check(&[], &[("move", "/w/d/c", "/w/d/a"), ("open", "/w/d/a", "")], Some(UNREAD));
        check(&[("link", "/w/d/a", "/out")], &[("open", "/w/d/a", "")], Some("/out"));
    }
}
