//! What went from one call to another, with the events on both sides.

use super::sentence;
use crate::render::index::Index;
use crate::render::{time, words};
use argus_schemas::report::Report;
use std::fmt::Write as _;

pub(super) fn links(report: &Report, index: &Index) -> String {
    if report.links.is_empty() {
        return "<p class=\"empty\">Nothing is recorded to have gone from one call to another.</p>\n".to_owned();
    }
    let mut body = String::from(
        "<p>What one call gave and another took. It works for the one that took it, and is evidence of what led to that.</p>\n<ul>\n",
    );
    for link in &report.links {
        for one in &link.objects {
            let at = time::offset(link.first_ns);
            let _ = writeln!(
                body,
                "<li><span class=\"dim\">{at}</span> {}</li>",
                sentence(&words::linked(link, one, index))
            );
        }
        let left = link.count.saturating_sub(link.objects.len() as u64);
        if left > 0 {
            let _ = writeln!(body, "<li>and {} more alike</li>", words::number(left));
        }
    }
    body.push_str("</ul>\n");
    body
}
