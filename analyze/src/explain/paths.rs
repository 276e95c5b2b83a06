//! The links between calls that lead to an event, and from it, in words.

use super::LISTED;
use super::story::{Story, holder_of};
use crate::links::{Act, Link, chain};
use argus_schemas::report::Way;
use std::fmt::Write as _;

/// What was done, as a verb, where the kind of an event is none.
const VERBS: [(&str, &str); 12] = [
    ("exec", "executed"),
    ("open", "opened"),
    ("connect", "connected to"),
    ("send", "sent something to"),
    ("delete", "deleted"),
    ("rename", "renamed"),
    ("mkdir", "made"),
    ("rmdir", "removed"),
    ("truncate", "cut"),
    ("signal", "signalled"),
    ("listen", "listened on"),
    ("close", "used"),
];

impl Story<'_> {
    /// `call 7 wrote install.sh (event 31), which call 12 executed (event 88), which connected to 203.0.113.7:443 (event 93)`.
    pub fn path(&self) -> Option<String> {
        let examined = self.explainer.examined;
        let act = Act {
            span: self.ownership.and_then(holder_of),
            process: self.event.process(),
            boot_ns: self.event.last_ns.unwrap_or(self.event.boot_ns),
        };
        let links = chain(examined.links, act, examined.forest);
        let first = links.first()?;
        let mut text = self.giver(first);
        for (number, link) in links.iter().enumerate() {
            if number > 0 {
                let _ = write!(text, ", which {}", self.given(link));
            }
            let _ = write!(text, " {}", self.taken(link));
        }
        if links.last().is_some_and(|link| link.to.event_id != self.event.event_id) {
            let kind = self.event.kind.as_str();
            let verb = VERBS.iter().find(|(known, _)| *known == kind).map(|(_, verb)| (*verb).to_owned());
            let verb = verb.unwrap_or_else(|| format!("did this: {kind}"));
            let _ = write!(text, ", which {verb} {} (event {})", self.event.object, self.event.event_id);
        }
        text.push('.');
        Some(text)
    }

    /// What other calls took of it, and gave to it.
    pub fn links(&self) -> Vec<String> {
        let here = |link: &&Link| {
            let through = link.through.iter().map(|step| step.event_id);
            through.chain([link.from.event_id, link.to.event_id]).any(|event| event == self.event.event_id)
        };
        let links = self.explainer.examined.links.iter().filter(here).take(LISTED);
        links.map(|link| format!("{} {}.", self.giver(link), self.taken(link))).collect()
    }

    fn giver(&self, link: &Link) -> String {
        let who = link.from.span.map_or_else(|| "the agent".to_owned(), |span| self.named(span));
        format!("{who} {}", self.given(link))
    }

    /// What the giver did, up to the word `which`.
    fn given(&self, link: &Link) -> String {
        let attribution = self.explainer.examined.attribution;
        let name =
            |id: &str| attribution.claims.by_id(id).map_or_else(|| format!("span {id}"), |span| self.named(span));
        link.listed(attribution).given(link.way, name)
    }

    fn taken(&self, link: &Link) -> String {
        let who = link.to.span.map_or_else(|| "the agent itself".to_owned(), |span| self.named(span));
        let who = match link.way {
            Way::Pipe | Way::Socket => format!("process {} of {who}", link.to.process.pid),
            _ => who,
        };
        format!("{who} {}", link.listed(self.explainer.examined.attribution).taken_how(link.way))
    }
}
