//! How much room text takes on a terminal, and how to make it fit.

use super::safe;

/// The columns that a character takes: none for marks drawn onto another, two for the wide scripts and pictures.
fn columns(c: char) -> usize {
    match c {
        c if safe::is_mark(c) => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// The columns that a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += columns(*c);
        used > room
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn tail(text: &str, room: usize) -> &str {
    let mut used = 0;
    let start = text.char_indices().rev().find(|(_, c)| {
        used += columns(*c);
        used > room
    });
    start.map_or(text, |(at, c)| &text[at + c.len_utf8()..])
}

/// The text in at most `room` columns, its end cut.
pub fn cut(text: &str, room: usize) -> String {
    if width(text) <= room { text.to_owned() } else { format!("{}...", head(text, room.saturating_sub(3))) }
}

/// The text in at most `room` columns, its middle cut: of a path, both its place and its name tell.
pub fn cut_middle(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let left = room.saturating_sub(3);
    format!("{}...{}", head(text, left / 2), tail(text, left - left / 2))
}

/// The text, cut or filled to exactly `room` columns.
pub fn fill(text: &str, room: usize) -> String {
    let text = cut(text, room);
    let gap = room.saturating_sub(width(&text));
    text + &" ".repeat(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits() {
        assert_eq!(cut("abcdefgh", 6), "abc...");
        assert_eq!(cut("漢字漢字", 7), "漢字...");
        assert_eq!(cut_middle("/srv/app/long/name.md", 11), "/srv...e.md");
        assert_eq!(cut_middle("abc", 3), "abc");
        assert_eq!(fill("漢", 4), "漢  ");
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(cut("abcdef", 1).len(), 3);
    }
}
