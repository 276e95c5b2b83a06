//! From what a tool did to a policy that allows just that, in the words of an existing sandbox.
//!
//! A policy is derived from runs that were seen, so it denies what a rarer run would need; the notes say so, and what
//! the format cannot express. Everything that was seen is granted, save what no sandbox would grant: a run that was
//! itself the incident must not teach its misdeed. So undeclared connections, deletions, writes to places that persist
//! and reads of secrets are left out, and named in the notes.

mod bwrap;
mod srt;

use crate::judge::{glob, ordinary};
use argus_schemas::report::{Effect, Expectation, Facet, Report};
use std::collections::{BTreeMap, BTreeSet};

/// A sandbox's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Settings of Anthropic's sandbox-runtime.
    Srt,
    /// Arguments of bubblewrap, one a line.
    Bwrap,
}

/// A policy, and what it cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The file's content.
    pub text: String,
    /// What a reader must know before using it.
    pub notes: Vec<String>,
}

/// More siblings than this become their directory.
const SIBLINGS: usize = 5;

/// What a tool needs.
#[derive(Debug, Default)]
struct Needs {
    runs: usize,
    /// `address:port`.
    hosts: BTreeSet<String>,
    /// Literal paths.
    reads: BTreeSet<String>,
    /// Literal paths; directories where many siblings were written.
    writes: BTreeSet<String>,
    lookups: bool,
    listens: bool,
    /// Whether every run's report can say that it connected nowhere.
    surely_offline: bool,
    notes: Vec<String>,
}

/// The policy for a tool, from every run of it in `reports`.
pub fn generate(tool: &str, reports: &[Report], format: Format) -> Policy {
    let needs = needs(tool, reports);
    match format {
        Format::Srt => srt::write(needs),
        Format::Bwrap => bwrap::write(needs),
    }
}

/// How a policy names a peer: by its name where name servers gave it one alone, since addresses change.
fn peer(effect: &Effect) -> String {
    let mut answered = effect.names.iter().filter(|name| name.answered());
    match (answered.next(), answered.next(), effect.object.rsplit_once(':')) {
        (Some(name), None, Some((_, port))) => format!("{}:{port}", name.host),
        _ => effect.object.clone(),
    }
}

fn needs(tool: &str, reports: &[Report]) -> Needs {
    let mut needs = Needs { surely_offline: true, ..Needs::default() };
    let mut withheld: BTreeSet<String> = BTreeSet::new();
    let mut writes: BTreeSet<String> = BTreeSet::new();
    for call in reports.iter().flat_map(|report| &report.calls).filter(|call| call.kind == "tool" && call.name == tool)
    {
        needs.runs += 1;
        needs.surely_offline &= ["connect", "name_lookup"].iter().all(|f| call.none_of.iter().any(|none| none == f));
        for effect in call.effects.iter().filter(|effect| effect.outcome == "ok") {
            if let Some(why) = withhold(effect) {
                withheld.insert(format!("Not granted: it {} {} ({why}).", effect.facet.past_tense(), effect.object));
                continue;
            }
            let object = effect.object.clone();
            match effect.facet {
                Facet::Connect => drop(needs.hosts.insert(peer(effect))),
                Facet::NameLookup => needs.lookups = true,
                Facet::Listen => needs.listens = true,
                Facet::Read | Facet::Exec => drop(needs.reads.insert(object)),
                Facet::Write | Facet::Permission => drop(writes.insert(object)),
                // Removing and renaming need the right to change the directory, not the file.
                Facet::Delete => writes.extend(parent(&object)),
                Facet::Rename => {
                    writes.extend(parent(&object));
                    writes.extend(effect.detail.as_deref().and_then(parent));
                }
                Facet::Ipc | Facet::Privilege | Facet::Signal => {}
            }
        }
    }
    needs.writes = fold(writes);
    needs.reads.retain(|path| path.starts_with('/'));
    needs.notes.push(match needs.runs {
        0 => format!("No run of `{tool}` was seen: this policy grants nothing of its own."),
        runs => format!("Derived from {runs} runs of `{tool}`: what a rarer run needs is denied."),
    });
    needs.notes.extend(withheld);
    needs
}

/// Why an effect is not granted although it was seen.
fn withhold(effect: &Effect) -> Option<&'static str> {
    if effect.expectation != Expectation::Undeclared {
        return None;
    }
    match effect.facet {
        Facet::Connect => Some("nobody declared it"),
        Facet::Delete => Some("nobody declared it"),
        Facet::Read => ordinary::sensitive(&effect.object),
        Facet::Write | Facet::Permission | Facet::Rename => ordinary::persistent(&effect.object),
        _ => None,
    }
}

fn parent(path: &str) -> Option<String> {
    let (directory, _) = path.rsplit_once('/')?;
    (!directory.is_empty()).then(|| directory.to_owned())
}

/// Paths without those beneath others, and with many siblings made one directory. A directory of the first level is
/// never made up: `/etc` is too much to grant for six files.
fn fold(paths: BTreeSet<String>) -> BTreeSet<String> {
    let mut siblings: BTreeMap<String, usize> = BTreeMap::new();
    let paths: BTreeSet<String> =
        paths.into_iter().filter(|path| path.starts_with('/') && !path.starts_with("/dev/")).collect();
    for directory in paths.iter().filter_map(|path| parent(path)) {
        *siblings.entry(directory).or_default() += 1;
    }
    let folded: BTreeSet<String> = paths
        .into_iter()
        .map(|path| match parent(&path) {
            Some(directory) if siblings[&directory] > SIBLINGS && parent(&directory).is_some() => directory,
            _ => path,
        })
        .collect();
    folded.iter().filter(|path| !covered(path, &folded)).cloned().collect()
}

/// Whether `path` lies beneath another of `paths`.
fn covered(path: &str, paths: &BTreeSet<String>) -> bool {
    paths.iter().any(|other| other != path && path.strip_prefix(other.as_str()).is_some_and(|r| r.starts_with('/')))
}

/// Whether `path` matches one of `patterns`.
fn matches_any(path: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| glob::matches(pattern, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::{manifest, report, row, span};

    fn seen() -> Report {
        let declares = r#"{"hosts":["10.0.0.9:5432"],"write":["/srv/app/**"],"read":["/srv/in/*"]}"#;
        let mut effects = vec![
            row("a", Facet::Read, "/etc/ld.so.cache"),
            row("a", Facet::Read, "/srv/in/a b"),
            row("a", Facet::Connect, "10.0.0.9:5432"),
            row("a", Facet::Connect, "203.0.113.66:80"),
            row("a", Facet::Write, "/srv/app/.git/hooks/x"),
        ];
        effects.extend((0..6).map(|n| row("a", Facet::Write, &format!("/srv/app/out/{n}"))));
        report(&manifest(), &[span("a", "t", 100, "{}", Some(declares))], &effects)
    }

    #[test]
    fn srt_settings() {
        let policy = generate("t", &[seen()], Format::Srt);
        let expected = r#"{
  "network": {
    "allowedDomains": [
      "10.0.0.9:5432"
    ],
    "deniedDomains": []
  },
  "filesystem": {
    "denyRead": [],
    "allowWrite": [
      "/srv/app/out"
    ],
    "denyWrite": []
  }
}
"#;
        assert_eq!(policy.text, expected);
        let notes = policy.notes.join("\n");
        for part in ["1 runs of `t`", "connected to 203.0.113.66:80 (nobody declared it)", ".git/hooks"] {
            assert!(notes.contains(part), "{part} in {notes}");
        }
    }

    #[test]
    fn bwrap_arguments() {
        let policy = generate("t", &[seen()], Format::Bwrap);
        assert!(policy.text.contains("--bind\n/srv/app/out\n/srv/app/out\n"), "{}", policy.text);
        assert!(!policy.text.contains("--unshare-net"));
        assert!(policy.notes.iter().any(|note| note.contains("all or nothing")));
        assert!(policy.notes.iter().any(|note| note.contains("/srv/in/a b")), "a blank cannot pass through $(cat)");
    }

    #[test]
    fn a_tool_that_surely_stays_offline_gets_no_network() {
        let quiet = report(&manifest(), &[span("a", "t", 100, "{}", None)], &[row("a", Facet::Read, "/w/in/x")]);
        let policy = generate("t", &[quiet], Format::Bwrap);
        assert_eq!(
            policy.text,
            "--die-with-parent\n--unshare-pid\n--unshare-ipc\n--unshare-uts\n--unshare-net\n--new-session\n\
             --ro-bind\n/usr\n/usr\n--ro-bind-try\n/lib\n/lib\n--ro-bind-try\n/lib64\n/lib64\n\
             --ro-bind-try\n/bin\n/bin\n\
             --ro-bind-try\n/sbin\n/sbin\n--ro-bind\n/etc\n/etc\n--proc\n/proc\n--dev\n/dev\n--tmpfs\n/tmp\n\
             --ro-bind-try\n/w/in/x\n/w/in/x\n"
        );
        let unsure = generate("nobody", &[], Format::Bwrap);
        assert!(!unsure.text.contains("--unshare-net"), "no run, no knowledge");
    }
}
