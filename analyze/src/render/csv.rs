//! The timeline for spreadsheets.

use argus_schemas::report::Report;

/// One cell. A spreadsheet takes some first characters for a formula: an apostrophe makes them text.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The timeline, a heading first.
pub fn timeline(report: &Report) -> String {
    let mut csv = String::from("at_ns,what,text,call,call_name,undeclared,event_ids,note\n");
    for entry in &report.timeline {
        let ids: Vec<String> = entry.event_ids.iter().map(u64::to_string).collect();
        let row = [
            entry.at_ns.to_string(),
            cell(&entry.what),
            cell(&entry.text),
            entry.call.map(|call| call.to_string()).unwrap_or_default(),
            cell(entry.call_name.as_deref().unwrap_or_default()),
            entry.undeclared.to_string(),
            ids.join(" "),
            cell(entry.note.as_deref().unwrap_or_default()),
        ];
        csv.push_str(&row.join(","));
        csv.push('\n');
    }
    csv
}

#[cfg(test)]
mod tests {
    #[test]
    fn cells_stay_cells() {
        for (text, expected) in [
            ("a", "a"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(super::cell(text), expected);
        }
    }
}
