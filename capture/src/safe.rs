//! What comes from elsewhere, paths and commands, made harmless before it reaches a terminal.

/// The text with every character that a terminal would obey, or that would reorder what is read, shown as `\u{..}`. Lines
/// and tabs stay.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => safe.push(character),
            // Marks and embeddings that turn the direction of text, and isolates.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' => {
                safe.extend(character.escape_unicode());
            }
            _ if character.is_control() => safe.extend(character.escape_unicode()),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, printed: &str) {
        assert_eq!(printable(text), printed);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        check("plain, with\nlines\tand ümläute", "plain, with\nlines\tand ümläute");
        check("/tmp/\u{1b}]0;owned\u{7}", "/tmp/\\u{1b}]0;owned\\u{7}");
        check("back\r\u{9b}2J", "back\\u{d}\\u{9b}2J");
        check("gpj.\u{202e}exe", "gpj.\\u{202e}exe");
    }
}
