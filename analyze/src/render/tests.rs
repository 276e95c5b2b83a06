//! What holds for every format: hostile text stays text, the same report gives the same bytes, and nothing to say is
//! said in sentences.

use super::{csv, html, markdown, testing, text};
use argus_schemas::report::{Effect, Facet, Finding, Report, TimelineEntry};

type Format = fn(&Report) -> String;

const FORMATS: [(&str, Format); 5] = [
    ("html", html::report),
    ("markdown", markdown::report),
    ("tools", text::tools),
    ("timeline", text::timeline),
    ("csv", csv::timeline),
];

/// Texts that try to leave their place.
const EVIL: [&str; 16] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style></details></article><h1>OK</h1>",
    "<!-- ",
    "a|b|c\\|d",
    "`` ` ``` ",
    "~~~\n```\n# owned",
    "\n\n# No findings\n\n",
    "[x](javascript:alert(1)) ![y](http://203.0.113.9/p.png) https://evil.example www.evil.example",
    "@everyone #1 :skull: evil@example.org GH-1 $x$",
    "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m",
    "ok\r\u{8}\u{8}undeclared",
    "gpj.\u{202e}exe\u{2066}\u{200b}\u{feff}",
    "1. - + # > = 2) ---",
    "{\"a\":\"<b>\",\"a\":[\"\u{1b}[31m\"]}",
];

fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The tags of a page, without what is in their attributes' quotes. Sentences set names as code, and which words are
/// names depends on the text; that those tags come in pairs does not.
fn tags(page: &str) -> Vec<String> {
    let all: Vec<String> = page
        .split('<')
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap_or_default().split('"').step_by(2).collect())
        .collect();
    let count = |name: &str| all.iter().filter(|tag| *tag == name).count();
    assert_eq!(count("code"), count("/code"));
    all.into_iter().filter(|tag| !tag.ends_with("code")).collect()
}

#[test]
fn hostile_text_stays_text() {
    let harmless = testing::hostile("harmless");
    for evil in EVIL {
        let report = testing::hostile(evil);
        for (name, format) in FORMATS.iter().filter(|(name, _)| *name != "csv") {
            let shown = format(&report);
            assert!(!shown.chars().any(is_obeyed), "{name}: {evil:?}");
        }
        let page = html::report(&report);
        assert!(tags(&page) == tags(&html::report(&harmless)), "the page has other tags for {evil:?}");
    }
}

/// What is left of a page of Markdown without its code, line by line.
fn without_code(page: &str) -> Vec<String> {
    page.lines()
        .map(|line| {
            let mut rest = line;
            let mut kept = String::new();
            while let Some(at) = rest.find(['`', '<']) {
                kept.push_str(&rest[..at]);
                let opened = &rest[at..];
                let fence: String = match opened.strip_prefix("<code>") {
                    Some(_) => "</code>".to_owned(),
                    None => opened.chars().take_while(|c| *c == '`').collect(),
                };
                assert!(!fence.is_empty(), "raw HTML in {line}");
                let body = &opened[if fence.starts_with('<') { "<code>".len() } else { fence.len() }..];
                let end = closing(body, &fence).unwrap_or_else(|| panic!("code without an end in {line}"));
                assert!(!body[..end].contains('|'), "a bar in {line}");
                kept.push('C');
                rest = &body[end + fence.len()..];
            }
            kept + rest
        })
        .collect()
}

/// Where code ends: at a fence of the same length, not at a longer one.
fn closing(body: &str, fence: &str) -> Option<usize> {
    body.match_indices(fence)
        .map(|(at, _)| at)
        .find(|at| fence.starts_with('<') || !(body[..*at].ends_with('`') || body[at + fence.len()..].starts_with('`')))
}

#[test]
fn markdown_keeps_its_shape() {
    let shape = |report: &Report| -> Vec<(String, usize)> {
        let lines = without_code(&markdown::report(report));
        lines
            .iter()
            .map(|line| {
                let start: String = line.chars().take_while(|c| "#-| ".contains(*c)).collect();
                (start, line.matches('|').count())
            })
            .collect()
    };
    let expected = shape(&testing::hostile("harmless"));
    for evil in EVIL {
        let report = testing::hostile(evil);
        assert_eq!(shape(&report), expected, "{evil:?}");
        for line in without_code(&markdown::report(&report)) {
            for obeyed in ["](", "http", "www", "@", "#1", ":skull", "$", "<", "&", "\\", "\n", "~"] {
                assert!(!line.contains(obeyed), "{obeyed} of {evil:?} in {line}");
            }
        }
    }
}

#[test]
fn terminals_get_short_lines() {
    let long = "x/漢".repeat(300);
    for evil in EVIL.into_iter().chain([long.as_str()]) {
        for format in [text::tools, text::timeline] {
            let (shown, expected) = (format(&testing::hostile(evil)), format(&testing::hostile("x")));
            assert_eq!(shown.lines().count(), expected.lines().count(), "{evil:?}");
            for line in shown.lines() {
                assert!(super::columns::width(line) <= 120, "{line}");
            }
        }
    }
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    for (name, format) in FORMATS {
        assert_eq!(format(&testing::incident()), format(&testing::incident()), "{name}");
    }
}

#[test]
fn nothing_is_said_in_sentences() {
    let report = testing::empty();
    for (page, sentences) in [
        (html::report(&report), &["No findings", "Nothing notable was recorded.", "log names no call."][..]),
        (markdown::report(&report), &["No findings", "Nothing notable was recorded.", "log names no call."]),
        (text::tools(&report), &["The agent's log names no call."]),
        (text::timeline(&report), &["Nothing notable was recorded."]),
    ] {
        // In HTML the apostrophe of the program's own sentences needs no escape.
        for sentence in sentences {
            assert!(page.contains(sentence), "{sentence} in {page}");
        }
    }
}

#[test]
fn a_page_needs_nothing_else() {
    let page = html::report(&testing::incident());
    for outside in ["<script", "<link", "<img", "<iframe", "src=", "@import", "url(", "href=\"http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // The policy must come before anything it is to govern.
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is in the page"));
    assert!(at("Content-Security-Policy") < at("<style>"));
    for (link, _) in page.match_indices("href=\"#") {
        let id = page[link + 7..].split('"').next().unwrap_or_default();
        assert!(page.contains(&format!("id=\"{id}\"")), "#{id} leads nowhere");
    }
}

#[test]
fn noise_does_not_hide_what_matters() {
    let mut report = testing::incident();
    let noise = report.timeline[0].clone();
    report.timeline.splice(0..0, std::iter::repeat_n(noise, 5_000));
    for (name, page) in [("html", html::report(&report)), ("markdown", markdown::report(&report))] {
        let timeline = page.split("Timeline").last().unwrap_or_default();
        assert!(timeline.contains("203.0.113.66:8080"), "{name}");
    }
    assert!(html::report(&report).contains("<details open><summary>"), "a piece with an undeclared act stays open");
}

#[test]
fn a_flood_makes_no_page_that_nobody_can_open() {
    let mut report = testing::incident();
    let call = &mut report.calls[2];
    let first = call.effects[0].clone();
    let line = report.timeline.iter().find(|line| line.undeclared).expect("one is").clone();
    assert_eq!(first.object, "203.0.113.66:8080");
    // One act of its kind among a hundred thousand of two others, and all of them as lines, findings and groups.
    let many = |n: u64, facet| Effect { facet, object: format!("/w/{n}"), event_ids: vec![2 * n], ..first.clone() };
    let flood: Vec<Effect> =
        (0..100_000).map(|n| many(n, if n % 2 == 0 { Facet::Write } else { Facet::Delete })).collect();
    report.timeline.extend(flood.iter().map(|effect| TimelineEntry {
        what: effect.facet.as_str().to_owned(),
        text: format!("{} {}", effect.facet.past_tense(), effect.object),
        ..line.clone()
    }));
    let finding = Finding { event_ids: (0..100_000).map(|n| 2 * n).collect(), ..report.findings[4].clone() };
    report.findings.extend(std::iter::repeat_n(Finding { event_ids: vec![1], ..finding.clone() }, 5_000));
    report.findings.push(finding);
    let group = report.unowned[0].clone();
    report.unowned.extend(std::iter::repeat_n(group, 5_000));
    report.calls[2].effects.splice(0..0, flood);
    for (name, page, most) in [
        ("html", html::report(&report), 2_000_000),
        ("markdown", markdown::report(&report), 200_000),
        ("tools", text::tools(&report), 200_000),
        ("timeline", text::timeline(&report), 400_000),
    ] {
        assert!(page.len() < most, "{name} has {} bytes", page.len());
        assert!(page.contains("203.0.113.66:8080"), "{name} hides the odd one");
        assert!(page.contains("100,0") || page.contains("99,9"), "{name} counts what it leaves out");
        assert!(page.contains("json"), "{name} says where all of it is");
    }
    assert_eq!(csv::timeline(&report).lines().count(), report.timeline.len() + 1, "a file for programs has all");
}

/// Writes the pages for eyes: `ARGUS_RENDER_TO=/tmp cargo test -p argus-analyze render::tests::for_eyes`.
#[test]
fn for_eyes() {
    let Some(folder) = std::env::var_os("ARGUS_RENDER_TO").map(std::path::PathBuf::from) else { return };
    let report = testing::incident();
    for (name, shown) in [
        ("report.html", html::report(&report)),
        ("empty.html", html::report(&testing::empty())),
        ("hostile.html", html::report(&testing::hostile(EVIL[0]))),
        ("report.md", markdown::report(&report)),
        ("tools.txt", text::tools(&report)),
        ("timeline.txt", text::timeline(&report)),
    ] {
        std::fs::write(folder.join(name), shown).expect("the folder can be written to");
    }
}
