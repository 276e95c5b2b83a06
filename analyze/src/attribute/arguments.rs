//! The basis `argument`: of the calls that may have caused something, exactly one was told of it by name.
//!
//! It settles what the windows leave open and nothing else. A program counts as named by the text that a shell is to
//! run, by its whole command line, or by a path or peer in it; an event by its very path or peer. What two calls name,
//! and what every program touches, is no evidence.

use super::claims::Claims;
use super::ledger::Ownership;
use crate::forest::Exec;
use crate::judge::ordinary::is_common;
use crate::told::{self, Host, Told, clean, command};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

/// Who names a thing, of those who were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The thing, in words: `the path /w/a`.
    pub thing: String,
    /// The calls.
    pub by: BTreeSet<usize>,
}

impl Evidence {
    /// The only one; a name that several were told says nothing.
    pub fn only(&self) -> Option<usize> {
        self.by.first().copied().filter(|_| self.by.len() == 1)
    }
}

/// The peer of a connection.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// The names that it had, by a name server's answer.
    pub names: Vec<String>,
}

/// What the arguments of one call name, for a process that works in a given directory.
#[derive(Debug, Default)]
pub struct Named {
    /// Texts that a shell may be given.
    texts: HashSet<String>,
    /// Command lines in words, the program without its folder.
    lines: HashSet<Vec<String>>,
    /// Absolute paths, and whether the word is a path by its looks.
    paths: HashMap<String, bool>,
    /// Hosts with or without ports.
    hosts: Vec<Host>,
}

/// The arguments of all calls, read when they are first asked for.
#[derive(Default)]
pub struct Arguments {
    named: RefCell<HashMap<(usize, Option<String>), Rc<Named>>>,
}

/// The calls that may have caused what a contested owner did at an instant. Where the innermost may not have been open,
/// what encloses it may be the owner instead.
pub fn candidates(ownership: &Ownership, boot_ns: u64, claims: &Claims) -> Option<BTreeSet<usize>> {
    let shown = ownership.contested()?;
    let surely = |span: usize| claims.surely_open_at(span, boot_ns);
    let mut all: BTreeSet<usize> = shown.iter().copied().collect();
    for inner in shown.iter().filter(|inner| !surely(**inner)) {
        for outer in claims.enclosing(*inner) {
            let covered = shown.iter().any(|span| surely(*span) && claims.encloses(outer, *span));
            if covered || claims.is_agent_run(outer) {
                break;
            }
            all.insert(outer);
            if surely(outer) {
                break;
            }
        }
    }
    Some(all)
}

impl Arguments {
    /// What a call's arguments name, for a process in the directory `cwd`.
    pub fn named(&self, span: usize, cwd: Option<&str>, claims: &Claims) -> Rc<Named> {
        let key = (span, cwd.map(str::to_owned));
        if let Some(named) = self.named.borrow().get(&key) {
            return Rc::clone(named);
        }
        let span = claims.span(span);
        // An agent's task and a model's prompt speak of everything that the calls beneath them do.
        let is_call = matches!(span.kind.as_str(), "tool" | "step");
        let named = Rc::new(if is_call { Named::of(&told::read(span.args.as_deref()), cwd) } else { Named::default() });
        self.named.borrow_mut().insert(key, Rc::clone(&named));
        named
    }

    /// Which of the candidates name a program that was executed. `None`: none does.
    pub fn of_exec(&self, candidates: &BTreeSet<usize>, exec: &Exec, claims: &Claims) -> Option<Evidence> {
        let named = |span| self.named(span, exec.cwd.as_deref(), claims);
        // What a shell is told to run, word for word, says more than the names in it.
        let scripts = command::scripts(&exec.argv);
        let script = |named: &Named| {
            let told = |script: &&String| named.texts.contains(script.trim());
            scripts.iter().find(told).map(|script| format!("the command `{script}`"))
        };
        let line = line_of(exec.argv.clone());
        let within = Named::of(&told::in_line(exec.argv.get(1..).unwrap_or_default()), exec.cwd.as_deref());
        let part = |named: &Named| {
            let whole = line.as_ref().filter(|line| named.lines.contains(*line));
            whole.map(|_| format!("the command line `{}`", exec.argv.join(" "))).or_else(|| named.shares(&within))
        };
        ask(candidates, |span| script(&named(span))).or_else(|| ask(candidates, |span| part(&named(span))))
    }

    /// Which of the candidates name one of these paths or this peer.
    pub fn of_object(
        &self,
        candidates: &BTreeSet<usize>,
        cwd: Option<&str>,
        paths: &[&str],
        peer: &Peer,
        claims: &Claims,
    ) -> Option<Evidence> {
        ask(candidates, |span| {
            let named = self.named(span, cwd, claims);
            let path = paths.iter().find(|path| named.paths.contains_key(**path));
            path.map(|path| format!("the path {path}")).or_else(|| named.has(peer))
        })
    }
}

/// Asks every candidate what it names.
fn ask(candidates: &BTreeSet<usize>, named: impl Fn(usize) -> Option<String>) -> Option<Evidence> {
    let mut evidence: Option<Evidence> = None;
    for span in candidates {
        if let Some(thing) = named(*span) {
            evidence.get_or_insert_with(|| Evidence { thing, by: BTreeSet::new() }).by.insert(*span);
        }
    }
    evidence
}

/// A command line as it is compared: the program without its folder. One word is too little.
fn line_of(mut words: Vec<String>) -> Option<Vec<String>> {
    let long = words.len() > 1 || words.first().is_some_and(|word| word.contains('/'));
    if let Some(program) = words.first_mut().filter(|_| long) {
        *program = command::file_name(program).to_owned();
    }
    long.then_some(words)
}

/// The absolute paths that a word may stand for.
fn absolute(path: &str, places: &[&str]) -> Vec<String> {
    if path.starts_with('/') {
        return vec![clean(path)];
    }
    if let Some(rest) = path.strip_prefix("~/") {
        let user =
            |place: &&str| place.strip_prefix("/home/").and_then(|rest| rest.split('/').next()).map(str::to_owned);
        let homes = places.iter().filter_map(user).map(|user| format!("/home/{user}")).chain(["/root".to_owned()]);
        return homes.map(|home| clean(&format!("{home}/{rest}"))).collect();
    }
    places.iter().map(|place| clean(&format!("{place}/{path}"))).collect()
}

impl Named {
    fn of(told: &Told, cwd: Option<&str>) -> Named {
        let own = told.places.iter().flat_map(|place| absolute(place, cwd.as_slice()));
        let own: Vec<String> = own.collect();
        let places: Vec<&str> = cwd.into_iter().chain(own.iter().map(String::as_str)).collect();
        let mut named = Named { hosts: told.hosts.clone(), ..Named::default() };
        named.texts.extend(told.whole.iter().map(|text| text.trim().to_owned()));
        let whole = told.whole.iter().map(|text| told::parts(text)).chain(told.lines.iter().cloned());
        named.lines.extend(whole.filter_map(line_of));
        for word in &told.paths {
            let inner_dot = word.trim_matches('.').contains('.');
            for path in absolute(word, &places) {
                // Where everybody works is no thing that one call works on.
                let around = |place: &&str| *place == path || place.starts_with(&format!("{path}/"));
                let deep = path.bytes().filter(|byte| *byte == b'/').count() > 1;
                if deep && !word.starts_with('-') && !is_common(&path) && !places.iter().any(around) {
                    *named.paths.entry(path).or_default() |= word.contains('/') || inner_dot;
                }
            }
        }
        named
    }

    /// The absolute paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }

    /// The hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// A path or peer that a command line names too.
    fn shares(&self, line: &Named) -> Option<String> {
        let mut both: Vec<&String> = line
            .paths
            .iter()
            .filter(|(path, looks)| self.paths.get(*path).is_some_and(|own| *own || **looks))
            .map(|(path, _)| path)
            .collect();
        both.sort();
        if let Some(path) = both.first() {
            return Some(format!("the path {path}"));
        }
        let sure = |host: &&Host| host.port.is_some() || host.name.parse::<IpAddr>().is_ok();
        let host = line.hosts.iter().filter(sure).find(|host| self.hosts.contains(host))?;
        Some(format!("the host {}", shown(host)))
    }

    /// A host that is this peer.
    fn has(&self, peer: &Peer) -> Option<String> {
        let is = |host: &&Host| {
            let named = match (host.name.parse::<IpAddr>(), peer.address) {
                (Ok(told), address) => Some(told.to_canonical()) == address,
                (Err(_), Some(address)) if host.name == "localhost" && address.is_loopback() => true,
                (Err(_), _) => peer.names.contains(&host.name),
            };
            named && (host.port.is_none() || peer.port.is_none() || host.port == peer.port)
        };
        self.hosts.iter().find(is).map(|host| format!("the host {}", shown(host)))
    }
}

fn shown(host: &Host) -> String {
    host.port.map_or_else(|| host.name.clone(), |port| format!("{}:{port}", host.name))
}
