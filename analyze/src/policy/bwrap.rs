//! Arguments of bubblewrap, one a line, to be used as `bwrap $(cat FILE) CMD`.

use super::{Needs, Policy, covered};
use std::collections::BTreeSet;

/// What every dynamically linked program needs. `-try`: not every system has them as directories of their own.
const BASICS: [(&str, &str); 6] = [
    ("--ro-bind", "/usr"),
    ("--ro-bind-try", "/lib"),
    ("--ro-bind-try", "/lib64"),
    ("--ro-bind-try", "/bin"),
    ("--ro-bind-try", "/sbin"),
    ("--ro-bind", "/etc"),
];

/// Made anew inside; nothing of the outer ones is granted.
const FRESH: [&str; 4] = ["/proc", "/dev", "/sys", "/tmp"];

pub(super) fn write(needs: Needs) -> Policy {
    let mut notes = needs.notes;
    let mut words: Vec<&str> = vec!["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"];
    let offline = needs.runs > 0 && needs.hosts.is_empty() && !needs.lookups && !needs.listens;
    if offline {
        words.push("--unshare-net");
        if !needs.surely_offline {
            notes.push(
                "No connection was seen, so the network is cut; but the record cannot exclude one. If the tool needs \
                 the network after all, drop --unshare-net."
                    .to_owned(),
            );
        }
    }
    notes.push(if offline {
        "bwrap cannot express hosts or ports: the network is all or nothing, and here it is nothing.".to_owned()
    } else {
        let hosts: Vec<&str> = needs.hosts.iter().map(String::as_str).collect();
        format!(
            "bwrap cannot express hosts or ports: the network is all or nothing, and here it is all (seen: {}).",
            if hosts.is_empty() { "no peer".to_owned() } else { hosts.join(", ") }
        )
    });
    words.push("--new-session");
    for (flag, path) in BASICS {
        words.extend([flag, path, path]);
    }
    words.extend(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);

    let provided: BTreeSet<String> =
        BASICS.iter().map(|(_, path)| *path).chain(FRESH).chain(["/"]).map(str::to_owned).collect();
    let wanted = |path: &&String| !provided.contains(*path);
    // Reads first: a later mount lies over an earlier one, and what may be written must stay writable.
    let reads: BTreeSet<String> = needs
        .reads
        .iter()
        .filter(wanted)
        .filter(|path| !covered(path, &provided) || path.starts_with("/tmp/"))
        .filter(|path| !needs.writes.contains(*path) && !covered(path, &needs.writes))
        .cloned()
        .collect();
    let reads: BTreeSet<String> = reads.iter().filter(|path| !covered(path, &reads)).cloned().collect();
    for (flag, paths) in [("--ro-bind-try", &reads), ("--bind", &needs.writes)] {
        for path in paths.iter().filter(wanted) {
            // The shell parts $(cat) at blanks and expands patterns.
            if path.contains(|c: char| c.is_whitespace() || matches!(c, '*' | '?' | '[')) {
                notes.push(format!("Left out, because a shell would take it apart: {flag} {path:?}."));
            } else {
                words.extend([flag, path, path]);
            }
        }
    }
    if !needs.writes.is_empty() {
        notes.push(
            "bwrap binds what exists: a file that the tool is to create needs its directory bound in its place, and a \
             missing path stops bwrap with a message."
                .to_owned(),
        );
    }
    notes.push(
        "/tmp is empty and private inside; /etc is readable as a whole; bwrap cannot forbid single programs."
            .to_owned(),
    );
    let mut text = words.join("\n");
    text.push('\n');
    Policy { text, notes }
}
