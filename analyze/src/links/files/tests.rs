//! Whose content a file holds, and by which names it came to whoever took it.

use super::*;
use crate::forest::grow;
use crate::judge::testing::manifest;

/// What the process of a call does at an instant, which is the event's number too: `open FLAGS`, `write`, `read`, `map`
/// (to execute), `cut`, `delete`, or `mv` and `ln` to a second name. Call 0 is none.
type Did<'a> = (u64, usize, &'a str, &'a str);

/// A file of this number, or one of which only the name is known.
fn row((at, call, what, file): Did, inode: Option<u64>) -> Row {
    let (what, second) = what.split_once(' ').map_or((what, None), |(what, second)| (what, Some(second)));
    let kind = match what {
        "open" => Kind::Open,
        "write" | "read" => Kind::Close,
        "execute" => Kind::Exec,
        "cut" => Kind::Truncate,
        "delete" => Kind::Delete,
        "mv" => Kind::Rename,
        "ln" => Kind::Link,
        other => panic!("{other}"),
    };
    let flags = if kind == Kind::Open { u64::from_str_radix(second.unwrap_or("0"), 8).unwrap() } else { 0 };
    let named = matches!(kind, Kind::Delete | Kind::Rename | Kind::Link);
    Row {
        kind,
        end: End {
            span: call.checked_sub(1),
            process: ProcessKey { pid: call as i32, start_ns: 1 },
            event_id: at,
            boot_ns: at,
        },
        last_ns: at,
        key: inode.filter(|_| !named).map_or_else(|| Key::Name(file.to_owned()), |inode| Key::Inode(1, inode)),
        file: file.to_owned(),
        second: second.filter(|_| named).map(str::to_owned),
        flags,
        bytes_in: u64::from(what == "read"),
        bytes_out: u64::from(what == "write"),
    }
}

#[track_caller]
fn check_rows(rows: &[Row], expected: &[&str]) {
    let (forest, _) = grow(Vec::new(), &manifest());
    let call = |span: Option<usize>| span.map_or_else(|| "nobody".to_owned(), |span| (span + 1).to_string());
    let told = |link: &Link| {
        let deed = link.deed.map_or("wrote", Deed::as_str);
        let steps =
            link.through.iter().map(|step| format!(", {} {} {}", call(step.span), step.deed.as_str(), step.object));
        let known_as = link.taken_as.iter().map(|name| format!(" as {name}"));
        let way = link.way.taken();
        let first = format!("{} {deed} {}", call(link.from.span), link.object);
        [first].into_iter().chain(steps).chain([format!(", {} {way}", call(link.to.span))]).chain(known_as).collect()
    };
    let got: Vec<String> = follow(rows, &forest).iter().map(told).collect();
    assert_eq!(got, expected);
}

/// The same with devices and inodes, which are the file's in the order of `files`, and with names only.
#[track_caller]
fn check(did: &[Did], files: &[(&str, u64)], expected: &[&str]) {
    let of = |file: &str| files.iter().find(|(name, _)| *name == file).map(|(_, inode)| *inode);
    let rows =
        |by_inode: bool| -> Vec<Row> { did.iter().map(|did| row(*did, of(did.3).filter(|_| by_inode))).collect() };
    check_rows(&rows(true), expected);
    check_rows(&rows(false), expected);
}

const NEW: &str = "open 1101";

#[test]
fn who_wrote_a_file_stays_so_by_whatever_name_it_is_taken() {
    let files = [("/w/a", 7), ("/w/b", 7), ("/w/c", 7)];
    let written = [(1, 1, NEW, "/w/a"), (2, 1, "write", "/w/a")];
    let then = |more: &[Did<'static>]| -> Vec<Did> { written.iter().copied().chain(more.iter().copied()).collect() };
    check(&then(&[(3, 2, "read", "/w/a"), (4, 1, "read", "/w/a")]), &files, &["1 wrote /w/a, 2 read"]);
    let moved = then(&[(3, 2, "mv /w/b", "/w/a"), (4, 3, "execute", "/w/b")]);
    check(&moved, &files, &["1 wrote /w/a, 2 renamed /w/b, 3 executed"]);
    let twice = then(&[(3, 2, "mv /w/b", "/w/a"), (4, 0, "mv /w/c", "/w/b"), (5, 3, "read", "/w/c")]);
    check(&twice, &files, &["1 wrote /w/a, 2 renamed /w/b, nobody renamed /w/c, 3 read"]);
    let linked = then(&[(3, 2, "ln /w/b", "/w/a"), (4, 2, "delete", "/w/a"), (5, 3, "read", "/w/b")]);
    check(&linked, &files, &["1 wrote /w/a, 2 linked /w/b, 3 read"]);
}

#[test]
fn what_only_the_inode_tells() {
    let by_inode = |did: &[Did], expected: &[&str]| {
        check_rows(&did.iter().map(|did| row(*did, Some(7))).collect::<Vec<_>>(), expected);
    };
    let folder = [(1, 1, "write", "/w/d/a"), (2, 2, "mv /w/e", "/w/d"), (3, 3, "read", "/w/e/a")];
    by_inode(&folder, &["1 wrote /w/d/a, 2 renamed /w/e/a, 3 read"]);
    by_inode(&[(1, 1, "write", "/w/a"), (2, 2, "read", "/mnt/a")], &["1 wrote /w/a, 2 read as /mnt/a"]);
    // The number of a file that is gone is another one's.
    by_inode(
        &[(1, 1, "write", "/w/a"), (2, 2, "delete", "/w/a"), (3, 2, "open 102", "/w/b"), (4, 3, "read", "/w/b")],
        &["2 opened for writing /w/b, 3 read"],
    );
}

#[test]
fn what_a_file_holds_is_of_all_who_wrote_it_since_it_was_empty() {
    let files = [("/w/a", 7)];
    let appended =
        [(1, 1, "write", "/w/a"), (2, 2, "open 2001", "/w/a"), (3, 2, "write", "/w/a"), (4, 3, "read", "/w/a")];
    check(&appended, &files, &["1 wrote /w/a, 3 read", "2 wrote /w/a, 3 read"]);
    let anew = [(1, 1, "write", "/w/a"), (2, 2, NEW, "/w/a"), (3, 2, "write", "/w/a"), (4, 3, "read", "/w/a")];
    check(&anew, &files, &["2 wrote /w/a, 3 read"]);
    // Nor is what no call is known to have written the earlier call's.
    let by_nobody = [(1, 1, "write", "/w/a"), (2, 0, NEW, "/w/a"), (3, 0, "write", "/w/a"), (4, 3, "read", "/w/a")];
    check(&by_nobody, &files, &[]);
    let cut = [(1, 1, "write", "/w/a"), (2, 2, "cut", "/w/a"), (3, 3, "read", "/w/a")];
    check(&cut, &files, &["1 wrote /w/a, 3 read", "2 cut /w/a, 3 read"]);
}

#[test]
fn an_open_is_no_more_than_that() {
    let files = [("/w/a", 7)];
    let idle = [(1, 1, "write", "/w/a"), (2, 2, "open 2", "/w/a"), (3, 3, "open 0", "/w/a"), (4, 4, "read", "/w/a")];
    let expected = [
        "1 wrote /w/a, 2 opened",
        "1 wrote /w/a, 3 opened",
        "1 wrote /w/a, 4 read",
        "2 opened for writing /w/a, 4 read",
    ];
    check(&idle, &files, &expected);
    // What was opened and then used is told by its use alone.
    let used = [(1, 1, NEW, "/w/a"), (2, 1, "write", "/w/a"), (3, 2, "open 0", "/w/a"), (4, 2, "read", "/w/a")];
    check(&used, &files, &["1 wrote /w/a, 2 read"]);
}

#[test]
fn who_put_a_file_where_it_was_found_is_told_where_nobody_wrote_it() {
    let files = [("/w/a", 7), ("/w/b", 7)];
    let put = [(1, 1, "mv /w/b", "/w/a"), (2, 2, "execute", "/w/b"), (3, 1, "execute", "/w/b")];
    check_rows(&put.map(|did| row(did, Some(7))), &["1 renamed /w/a, 2 executed as /w/b"]);
    check(&[(1, 1, NEW, "/w/a"), (2, 1, "write", "/w/a"), (3, 1, "mv /w/b", "/w/a")], &files, &[]);
}
