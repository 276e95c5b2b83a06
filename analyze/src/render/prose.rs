//! Sentences that name things. The stages before write plain English with the workload's names in its midst; here the
//! two are told apart, so that names are set as code, and no name can pose as the report's own words.

use argus_schemas::report::COMMAND_LINE;

/// A piece of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Letters, numbers and harmless punctuation.
    Plain(String),
    /// Everything else: paths, addresses, names, command lines.
    Code(String),
}

/// What may stand before and after a word.
const OPENING: [char; 3] = ['(', '"', '\''];
const CLOSING: [char; 8] = [',', '.', ';', ':', ')', '"', '\'', '?'];

/// Whether a word is English or a number, and means nothing to any markup.
fn is_plain(word: &str) -> bool {
    let letters = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphabetic());
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let number = word.strip_prefix('+').unwrap_or(word);
    // One dot at most: an address of four numbers is a name.
    word.split(['-', '\'']).all(letters)
        || number.split_once('.').map_or_else(|| digits(number), |(whole, part)| digits(whole) && digits(part))
}

/// Neighbours of a kind become one, and code that follows code is one name: two fences side by side would be a longer
/// fence in Markdown.
fn push(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (_, Part::Plain(text) | Part::Code(text)) if text.is_empty() => {}
        (Some(Part::Plain(last)), Part::Plain(text)) | (Some(Part::Code(last)), Part::Code(text)) => {
            last.push_str(&text);
        }
        (_, part) => parts.push(part),
    }
}

fn push_words(parts: &mut Vec<Part>, text: &str) {
    for (index, word) in text.split(' ').enumerate() {
        // A space at the very start would be an indent, and two in a row would be shown as one.
        let space = if index == 0 { "" } else { " " };
        let core = word.trim_start_matches(OPENING).trim_end_matches(CLOSING);
        let from = word.len() - word.trim_start_matches(OPENING).len();
        let (before, after) = (&word[..from], &word[from..][core.len()..]);
        // "1." at the start is a list in Markdown, and so is "1)".
        let list = parts.is_empty() && core.chars().all(|c| c.is_ascii_digit()) && !after.is_empty();
        if !core.is_empty() && is_plain(core) && !list {
            push(parts, Part::Plain(format!("{space}{word}")));
            continue;
        }
        if word.is_empty() {
            push(parts, if index == 0 { Part::Plain(String::new()) } else { Part::Code(" ".to_owned()) });
            continue;
        }
        // Names side by side are one command line.
        match parts.last_mut() {
            Some(Part::Code(last)) if index > 0 && before.is_empty() && !last.is_empty() => {
                last.push(' ');
                last.push_str(core);
            }
            _ => {
                push(parts, Part::Plain(format!("{space}{before}")));
                push(parts, Part::Code(core.to_owned()));
            }
        }
        push(parts, Part::Plain(after.to_owned()));
    }
}

/// Tells names from words. What backticks enclose is a name, as the findings write them.
pub fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(line) = text.strip_prefix(COMMAND_LINE) {
        push(&mut parts, Part::Plain(COMMAND_LINE.to_owned()));
        push(&mut parts, Part::Code(line.to_owned()));
        return parts;
    }
    let pieces: Vec<&str> = text.split('`').collect();
    // An odd backtick encloses nothing: then it is a character like others.
    if pieces.len().is_multiple_of(2) {
        push_words(&mut parts, text);
        return parts;
    }
    for (index, piece) in pieces.into_iter().enumerate() {
        if index % 2 == 0 { push_words(&mut parts, piece) } else { push(&mut parts, Part::Code(piece.to_owned())) }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code in angle quotes.
    fn check(text: &str, expected: &str) {
        let shown: String = parts(text)
            .into_iter()
            .map(|part| match part {
                Part::Plain(text) => text,
                Part::Code(text) => format!("‹{text}›"),
            })
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn names_are_told_from_words() {
        check(
            "`read_config` connected to 203.0.113.66:8080, which nobody declared",
            "‹read_config› connected to ‹203.0.113.66:8080›, which nobody declared",
        );
        check("The command line: sh -c 'all is fine.'; `x`", "The command line: ‹sh -c 'all is fine.'; `x`›");
        check("The agent's log says \"ok\": \"done\".", "The agent's log says \"ok\": \"done\".");
        check("It was 1.5 s (12 times) at +0.120.", "It was 1.5 s (12 times) at +0.120.");
        check("asked 10.0.0.1 about [x](y).", "asked ‹10.0.0.1› about ‹[x](y›).");
    }

    #[test]
    fn nothing_at_the_start_is_a_list_or_a_heading() {
        check("1. one", "‹1›. one");
        check("# one", "‹#› one");
        check("- one", "‹-› one");
        check("--- one", "‹---› one");
        check("    one", "‹   › one");
        check("", "");
    }

    #[test]
    fn a_stray_backtick_is_a_character() {
        check("a ` b", "a ‹`› b");
        check("`a`/b", "‹a/b›");
    }
}
