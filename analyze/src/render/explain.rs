//! An explanation for a terminal: short paragraphs, whose lines fit a narrow one.

use super::columns::{cut, width};
use super::safe::terminal as safe;
use super::{time, words};
use crate::explain::{Ancestor, Explanation, State, Window};
use std::fmt::Write as _;

/// The longest line, in columns.
const WIDTH: usize = 80;

/// The longest statement: command lines may be as long as a page. The JSON form has all of it.
const LONGEST: usize = 600;

/// A paragraph with its first line behind `head` and the others indented as far.
fn paragraph(text: &mut String, head: &str, words: &str) {
    let indent = width(head);
    let words = cut(&safe(words), LONGEST);
    let mut line = head.to_owned();
    let mut used = indent;
    let mut empty = true;
    for word in words.split(' ') {
        let mut word = word;
        loop {
            let room = WIDTH.saturating_sub(used + usize::from(!empty));
            if width(word) <= room {
                if !empty {
                    line.push(' ');
                    used += 1;
                }
                line.push_str(word);
                used += width(word);
                empty = false;
                break;
            }
            if empty {
                // A word longer than a line is broken where the line ends.
                let mut taken = 0;
                let fits = word.char_indices().find(|(_, c)| {
                    taken += width(c.encode_utf8(&mut [0; 4]));
                    taken > room
                });
                let at = fits.map_or(word.len(), |(at, _)| at.max(word.chars().next().map_or(0, char::len_utf8)));
                line.push_str(&word[..at]);
                word = &word[at..];
            }
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(indent);
            (used, empty) = (indent, true);
            if word.is_empty() {
                break;
            }
        }
    }
    if !empty || line.trim() == head.trim() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn section(text: &mut String, title: &str) {
    let _ = writeln!(text, "\n{title}");
}

fn event(text: &mut String, told: &Explanation) {
    let event = &told.event;
    paragraph(text, "", &format!("Event {}: {} {}", event.event_id, event.kind, event.object));
    paragraph(text, "  result    ", &event.result);
    let mut when = time::offset(event.at_ns);
    if let Some(count) = event.count.filter(|count| *count > 1) {
        let _ = write!(when, ", {count} times");
    }
    if let Some(last) = event.last_ns.filter(|last| *last > event.boot_ns) {
        let _ = write!(when, ", for {}", time::length(last - event.boot_ns));
    }
    paragraph(text, "  when      ", &when);
    let name = event.comm.as_ref().map(|comm| format!(" ({comm})")).unwrap_or_default();
    paragraph(text, "  who       ", &format!("process {}, thread {}{name}", event.pid, event.tid));
    if let Some(socket) = event.socket {
        paragraph(text, "  socket    ", &format!("{socket}, the same in every event on it"));
    }
    if !event.missing.is_empty() {
        paragraph(text, "  missing   ", &event.missing.join(", "));
    }
}

fn verdict(text: &mut String, told: &Explanation) {
    let ruling = &told.ruling;
    let mut line = ruling.verdict.as_str().to_owned();
    if let Some(owner) = &told.owner {
        let _ = write!(line, ", {owner}");
    }
    if let Some(basis) = ruling.basis {
        let _ = write!(line, ", by {}: {}", basis.as_str(), words::rests_on(basis));
    }
    if told.late {
        line.push_str("; late: the call had returned");
    }
    if let Some(reason) = &ruling.reason {
        let _ = write!(line, ": {reason}");
    }
    paragraph(text, "Verdict: ", &line);
    for candidate in told.candidates.iter().filter(|_| ruling.reason.is_none()) {
        paragraph(text, "  candidate ", &candidate.to_string());
    }
    for outer in &told.chain {
        paragraph(text, "  within    ", &outer.to_string());
    }
}

fn ancestor(text: &mut String, one: &Ancestor) {
    paragraph(text, "  - ", &format!("Process {} {}.", one.pid, one.began));
    for exec in &one.execs {
        paragraph(text, "      ran   ", exec);
    }
    paragraph(text, "      whose ", &one.owner);
}

fn window(text: &mut String, one: &Window) {
    let mut line = one.call.to_string();
    line.push_str(match one.state {
        State::Open => ": open",
        State::Perhaps => ": perhaps open, by the uncertainty of its instants",
    });
    if let Some(tid) = one.tid {
        let _ = write!(line, ", begun on thread {tid}");
    }
    if !one.believed {
        line.push_str("; it is not believed, so that nothing is given to it");
    }
    paragraph(text, "  - ", &line);
}

/// The explanation: the event, the verdict, and then the way from the one to the other.
pub fn text(told: &Explanation) -> String {
    let mut text = String::new();
    event(&mut text, told);
    text.push('\n');
    verdict(&mut text, told);
    section(&mut text, "Why");
    for (number, step) in told.decided.iter().enumerate() {
        paragraph(&mut text, &format!("  {}. ", number + 1), step);
    }
    if !told.not_stronger.is_empty() {
        section(&mut text, "Why nothing stronger decides");
        told.not_stronger.iter().for_each(|why| paragraph(&mut text, "  - ", why));
    }
    if told.path.is_some() || !told.links.is_empty() {
        section(&mut text, "What went from call to call");
        let others = told.links.iter().filter(|link| told.path.as_ref() != Some(link));
        told.path.iter().chain(others).for_each(|path| paragraph(&mut text, "  - ", path));
    }
    section(&mut text, "Where it comes from");
    told.lineage.iter().for_each(|one| ancestor(&mut text, one));
    if told.lineage.is_empty() {
        paragraph(&mut text, "  - ", "Its process is not among those that are followed.");
    }
    section(&mut text, "Which calls may have been open when that was decided");
    told.windows.iter().for_each(|one| window(&mut text, one));
    if told.more_windows > 0 {
        paragraph(&mut text, "  - ", &format!("and {} more", told.more_windows));
    }
    if told.windows.is_empty() {
        paragraph(&mut text, "  - ", "None.");
    }
    if !told.findings.is_empty() {
        section(&mut text, "Findings that cite it");
        for finding in &told.findings {
            paragraph(&mut text, "  - ", &format!("{}: {} ({})", finding.severity, finding.title, finding.rule));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, words: &str, expected: &[&str]) {
        let mut text = String::new();
        paragraph(&mut text, head, words);
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert!(text.lines().all(|line| width(line) <= WIDTH), "{text}");
    }

    #[test]
    fn paragraphs_fit_and_nothing_is_obeyed() {
        check("  - ", "one two", &["  - one two"]);
        check("  ran ", &format!("{} end", "x".repeat(70)), &[&format!("  ran {} end", "x".repeat(70))]);
        let long = "y".repeat(100);
        check("  ", &format!("a {long} b"), &["  a", &format!("  {}", &long[..78]), &format!("  {} b", &long[78..])]);
        check("", &format!("{} b", "x".repeat(WIDTH)), &[&"x".repeat(WIDTH), "b"]);
        check("", "a\u{1b}[31m\nb", &["a\\u{1b}[31m\\nb"]);
        check("  - ", "", &["  -"]);
        let wide = "漢".repeat(50);
        check("", &wide, &[&"漢".repeat(40), &"漢".repeat(10)]);
    }
}
