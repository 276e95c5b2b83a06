//! Text from the workload, made harmless for the place where it is shown. It never vanishes: what cannot be shown as it
//! is, is shown as its escape.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Marks that are drawn onto the character before them. Two make a letter; a pile of them hides the lines around it.
const MOST_MARKS: usize = 2;

/// Characters that a terminal or browser obeys instead of showing: controls, and those that turn the reading direction,
/// have no width, or look like a plain space, with which a name can be made to look like another.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is drawn onto the one before it.
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// For a terminal, and as the first step for every other place: one line without a character that is obeyed.
pub fn terminal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // A mark at the very start would be drawn onto what the report itself prints before the text.
    let mut marks = MOST_MARKS;
    for c in text.chars() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if is_unseen(c) || marks > MOST_MARKS => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Lines for a terminal, each made harmless; for anything else, exactly the text: a file is for programs.
pub fn lines(text: &str, is_terminal: bool) -> Cow<'_, str> {
    if !is_terminal {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split('\n').map(terminal).collect::<Vec<_>>().join("\n"))
}

/// JSON whose strings hold no character that is obeyed, wherever it is shown later: each is written as its escape, which
/// a parser reads as that character. JSON itself has no such character outside its strings, but for line breaks.
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// For HTML, in text and in attribute values within quotes.
pub fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// For a sentence in Markdown, table cells and headings too. Plain words stay, and whatever else is in it becomes code:
/// besides Markdown itself, GitHub turns addresses, `@names`, `#numbers`, `:names:` and hashes into links, pictures and
/// notifications, after it has resolved every escape. In code it does nothing of that.
pub fn markdown(text: &str) -> String {
    super::prose::parts(text)
        .iter()
        .map(|part| match part {
            super::prose::Part::Plain(words) => words.clone(),
            super::prose::Part::Code(text) => code(text),
        })
        .collect()
}

/// As code in Markdown, in a table cell too. The fence is longer than any run of backticks within.
pub fn code(text: &str) -> String {
    let text = terminal(text);
    // A table is cut at its bars before anything else is read, and escaping them means one thing within a table and
    // another outside, so such text is spelled in HTML, which means the same everywhere.
    if text.contains('|') {
        let mut safe = String::from("<code>");
        for c in text.chars() {
            if c.is_ascii_punctuation() {
                let _ = write!(safe, "&#{};", u32::from(c));
            } else {
                safe.push(c);
            }
        }
        return safe + "</code>";
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.is_empty() || text.starts_with([' ', '`']) || text.ends_with([' ', '`']) { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_and_nothing_vanishes() {
        for (text, expected) in [
            ("plain é 漢", "plain é 漢"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("gpj\u{202e}exe", "gpj\\u{202e}exe"),
            ("pay\u{200b}pal", "pay\\u{200b}pal"),
            ("a\u{a0}b\u{3000}", "a\\u{a0}b\\u{3000}"),
            ("e\u{301}", "e\u{301}"),
            ("\u{301}e", "\\u{301}e"),
            ("e\u{301}\u{302}\u{303}", "e\u{301}\u{302}\\u{303}"),
        ] {
            assert_eq!(terminal(text), expected);
        }
    }

    #[test]
    fn a_file_is_exact_and_a_terminal_is_not() {
        let text = "a,\u{1b}[31m\r\n\"b\nc\u{9b}\",\u{202e}\n";
        assert_eq!(lines(text, false), text);
        let shown = lines(text, true);
        assert_eq!(shown, "a,\\u{1b}[31m\\r\n\"b\nc\\u{9b}\",\\u{202e}\n");
        assert_eq!(lines(&shown, true), shown, "what is harmless stays as it is");
    }

    #[test]
    fn json_is_the_same_text_in_other_words() {
        let text = "\u{1b}]0;x\u{7}\u{7f}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}\u{2028} \"é漢\n";
        for json in [serde_json::to_string(text), serde_json::to_string_pretty(&[text])].map(Result::unwrap) {
            let safe = super::json(&json);
            assert!(!safe.chars().any(|c| c != '\n' && is_unseen(c)), "{safe:?}");
            let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
            assert_eq!(value(&safe), value(&json));
        }
        assert_eq!(super::json("{\n  \"a\": 1\n}\n"), "{\n  \"a\": 1\n}\n");
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(html("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
        assert_eq!(markdown("it asked <x> for http://y:80, twice."), "it asked `<x>` for `http://y:80`, twice.");
        assert_eq!(markdown("@you see #1"), "`@you` see `#1`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code(" a "), "`  a  `");
        assert_eq!(code("a|<b"), "<code>a&#124;&#60;b</code>");
        assert_eq!(code(""), "`  `");
    }
}
