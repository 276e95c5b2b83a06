//! Text from the workload, made harmless for the place where it is shown. It never vanishes: what cannot be shown as it
//! is, is shown as its escape.

/// Characters that a terminal or browser obeys instead of showing: controls, and those that turn the reading direction
/// or have no width, with which a name can be made to look like another.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// For a terminal, and as the first step for every other place: one line without a character that is obeyed.
pub fn terminal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if is_unseen(c) => safe.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

/// For HTML, in text and in attribute values.
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

/// For running text in Markdown, table cells too: whatever Markdown could take for markup is escaped.
pub fn markdown(text: &str) -> String {
    let text: Vec<char> = terminal(text).chars().collect();
    let at = |index: Option<usize>| index.and_then(|index| text.get(index)).copied().unwrap_or(' ');
    let mut safe = String::with_capacity(text.len());
    for (index, c) in text.iter().enumerate() {
        let (before, after) = (at(index.checked_sub(1)), at(Some(index + 1)));
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // Within a word it is no markup, and names are full of it.
            '_' if before.is_alphanumeric() && after.is_alphanumeric() => safe.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                safe.push('\\');
                safe.push(*c);
            }
            // A bare address would become a link to where an attacker wants the reader to go.
            ':' if after == '/' => safe.push_str("&#58;"),
            '.' if before == 'w' => safe.push_str("&#46;"),
            '@' => safe.push_str("&#64;"),
            c => safe.push(*c),
        }
    }
    safe
}

/// As code in Markdown, in a table cell too. The fence is longer than any run of backticks within.
pub fn code(text: &str) -> String {
    let text = terminal(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
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
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("gpj\u{202e}exe", "gpj\\u{202e}exe"),
            ("pay\u{200b}pal", "pay\\u{200b}pal"),
        ] {
            assert_eq!(terminal(text), expected);
        }
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(html("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
        assert_eq!(markdown("a|b*c_d <x> http://y:80"), "a\\|b\\*c_d &lt;x&gt; http&#58;//y:80");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a|b"), "`a\\|b`");
    }
}
