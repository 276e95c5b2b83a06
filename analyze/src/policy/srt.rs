//! Settings of sandbox-runtime, as JSON. All five keys must be there.

use super::{Needs, Policy, matches_any};
use crate::render::safe;
use serde_json::json;

/// What srt refuses to grant, however it is asked.
const NEVER: [&str; 10] = [
    "**/.git/hooks/**",
    "**/.git/config",
    "**/.bashrc",
    "**/.bash_profile",
    "**/.zshrc",
    "**/.profile",
    "**/.gitconfig",
    "**/.mcp.json",
    "**/.vscode/**",
    "**/.claude/**",
];

pub(super) fn write(needs: Needs) -> Policy {
    let mut notes = needs.notes;
    // srt knows names and dotted IPv4.
    let (hosts, v6): (Vec<String>, Vec<String>) = needs.hosts.into_iter().partition(|host| !host.starts_with('['));
    let (refused, writes): (Vec<String>, Vec<String>) =
        needs.writes.into_iter().partition(|path| matches_any(path, &NEVER) || path.contains(['*', '?', '[']));
    if !hosts.is_empty() {
        notes.push(
            "Hosts are addresses, because names are not recorded: replace them by the names that the tool uses, or it \
             breaks when they move."
                .to_owned(),
        );
    }
    notes.extend(v6.iter().map(|host| format!("srt cannot express the IPv6 peer {host}.")));
    notes.extend(refused.iter().map(|path| format!("srt can never grant writing to {path}.")));
    if needs.listens {
        notes.push("The tool listened on a port; srt cannot grant a port to listen on.".to_owned());
    }
    notes.push(
        "srt reads everything unless denied: denyRead is left empty, so reads are not limited by this policy; \
         .git/hooks, shell start-up files and agent settings stay denied for writing whatever is granted."
            .to_owned(),
    );
    notes.push("Under srt, connections come from its proxy, outside the tool's process tree.".to_owned());
    let settings = json!({
        "network": { "allowedDomains": hosts, "deniedDomains": [] },
        "filesystem": { "denyRead": [], "allowWrite": writes, "denyWrite": [] },
    });
    Policy { text: safe::json(&format!("{settings:#}\n")), notes }
}
