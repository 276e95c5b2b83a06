//! The battery's scores in Markdown: what `make battery` prints, and `tests/battery.md` holds.

use crate::baselines::{Class, RIVALS, Rival, Row, Tally};
use crate::battery::Agent;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The bases, strongest first.
const BASES: [&str; 6] = ["carrier", "thread", "lineage", "argument", "handoff", "window"];

/// The classes of verdicts.
const CLASSES: [&str; 4] = ["attributed", "runtime", "ambiguous", "unknown"];

fn named(rival: Rival) -> &'static str {
    match rival {
        Rival::Argus => "Argus",
        Rival::PidAndWindow => "pid and window",
        Rival::Lineage => "lineage alone",
    }
}

fn percent(part: u64, all: u64) -> String {
    if all == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / all as f64) }
}

/// The mean, over cases, of a share of their events.
fn mean(rows: &[&Row], rival: Rival, part: impl Fn(Tally) -> u64) -> f64 {
    let shares = rows.iter().map(|row| row.tally(rival)).map(|tally| tally.share(part(tally)));
    shares.sum::<f64>() / rows.len().max(1) as f64
}

fn averages(text: &mut String, rows: &[&Row]) {
    text.push_str("| | right | wrong | ambiguous | missing |\n|---|--:|--:|--:|--:|\n");
    for rival in RIVALS {
        let _ = writeln!(
            text,
            "| {} | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
            named(rival),
            mean(rows, rival, |tally| tally.right),
            mean(rows, rival, |tally| tally.wrong),
            mean(rows, rival, |tally| tally.ambiguous),
            mean(rows, rival, |tally| tally.missing),
        );
    }
    text.push('\n');
}

fn classes(text: &mut String, rows: &[&Row]) {
    let mut sums: BTreeMap<&str, Class> = BTreeMap::new();
    for (name, class) in rows.iter().flat_map(|row| &row.classes) {
        let sum = sums.entry(name).or_default();
        sum.events += class.events;
        sum.true_of += class.true_of;
    }
    let all: u64 = rows.iter().map(|row| row.tally(Rival::Argus).all()).sum();
    let of_calls: u64 = rows.iter().map(|row| row.of_calls).sum();
    let of_none: u64 = rows.iter().map(|row| row.of_none).sum();
    text.push_str("| verdict | events | precision | recall | abstention |\n|---|--:|--:|--:|--:|\n");
    for name in CLASSES {
        let class = sums.get(name).copied().unwrap_or_default();
        let (recall, abstention) = match name {
            "attributed" => (percent(class.true_of, of_calls), "-".to_owned()),
            "runtime" => (percent(class.true_of, of_none), "-".to_owned()),
            _ => ("-".to_owned(), percent(class.events, all)),
        };
        let precision = if name == "unknown" { "-".to_owned() } else { percent(class.true_of, class.events) };
        let _ = writeln!(text, "| {name} | {} | {precision} | {recall} | {abstention} |", class.events);
    }
    text.push('\n');
}

fn bases(row: &Row) -> String {
    let known = BASES.iter().filter_map(|basis| Some(format!("{basis} {}", row.bases.get(*basis)?)));
    known.collect::<Vec<_>>().join(", ")
}

/// Everything, in Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "# The attribution battery\n\nWritten by `UPDATE_BATTERY=1 make battery`: real programs under a real capture, \
         with the truth in the paths that they touch.\nAn event is right where it is given to the call that caused it, or \
         to none where none did; missing where it is given to none\nthough one caused it. Counts differ a little from run \
         to run, as programs of several threads do.\n\n`SDK`: the agent marks which call its threads work for. `plain`: \
         it only reports when its calls begin and end.\n\n`pid and window`: the call in whose window an event lies and \
         whose author is its process or an ancestor, of several the last.\n`lineage alone`: the call that alone was open \
         when the agent forked the first of the event's line.\n\n",
    );
    for agent in [Agent::Sdk, Agent::Plain] {
        let own: Vec<&Row> = rows.iter().filter(|row| row.agent == agent).collect();
        let _ = writeln!(text, "## On average over the {} cases with the agent `{}`\n", own.len(), agent.as_str());
        averages(&mut text, &own);
        text.push_str(
            "Argus's verdicts, all events of these cases together. Precision of an ambiguous one: the cause is among its \
             candidates.\n\n",
        );
        classes(&mut text, &own);
    }
    text.push_str(
        "## Case by case\n\n| case | | agent | events | right | wrong | ambiguous | missing | rests on | pid and window: \
         right, wrong | lineage alone: right, wrong |\n|--:|---|---|--:|--:|--:|--:|--:|---|--:|--:|\n",
    );
    for row in rows {
        let own = row.tally(Rival::Argus);
        let shares = |rival: Rival| {
            let tally = row.tally(rival);
            format!("{:.0} %, {:.0} %", tally.share(tally.right), tally.share(tally.wrong))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.case.number,
            row.case.title,
            row.agent.as_str(),
            own.all(),
            own.right,
            own.wrong,
            own.ambiguous,
            own.missing,
            bases(row),
            shares(Rival::PidAndWindow),
            shares(Rival::Lineage),
        );
    }
    text
}
