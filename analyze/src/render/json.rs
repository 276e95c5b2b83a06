//! Claims that came as JSON text, laid out for reading. Only white space is added: parsing and printing again would drop
//! all but the last of two equal keys and round large numbers, and what a claim says is evidence.

/// Up to this many characters, a claim stays on one line.
const SHORT: usize = 100;

/// Deeper than this, lines are not indented further.
const DEEPEST: usize = 24;

/// The text on lines, at most `most` characters of it, with what was left out counted. What is no JSON stays as it is.
pub fn lines(text: &str, most: usize) -> Vec<String> {
    let shown: String = text.chars().take(most).collect();
    let is_long = text.chars().nth(SHORT).is_some();
    let is_json = is_long && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let mut lines: Vec<String> = if is_json { indented(&shown) } else { shown.lines().map(str::to_owned).collect() };
    let left_out = text.chars().count().saturating_sub(most);
    if left_out > 0 {
        lines.push(format!("... ({left_out} more characters are in the case)"));
    }
    lines
}

fn indented(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut broken = false;
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                '"' => in_string = true,
                ' ' | '\t' | '\n' | '\r' => continue,
                '{' | '[' => {
                    while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                    // An empty one stays on its line.
                    if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                        push(&mut lines, c);
                        push(&mut lines, end);
                        continue;
                    }
                    depth += 1;
                    broken = true;
                }
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    lines.push("  ".repeat(depth.min(DEEPEST)));
                }
                ',' => broken = true,
                _ => {}
            }
        }
        push(&mut lines, c);
        if c == ':' && !in_string {
            push(&mut lines, ' ');
        }
        if broken {
            lines.push("  ".repeat(depth.min(DEEPEST)));
        }
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

fn push(lines: &mut [String], c: char) {
    if let Some(line) = lines.last_mut() {
        line.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::lines;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(lines(text, 200), expected);
    }

    #[test]
    fn only_white_space_is_added() {
        let long = "x".repeat(90);
        check(
            &format!(r#"{{"a":1,"a":[ ],"b":{{"c":"{long}, \"{{y"}}}}"#),
            &["{", r#"  "a": 1,"#, r#"  "a": [],"#, r#"  "b": {"#, &format!(r#"    "c": "{long}, \"{{y""#), "  }", "}"],
        );
        check(r#"{"short":[1, 2]}"#, &[r#"{"short":[1, 2]}"#]);
        let number = "1".repeat(120);
        check(&number, &[&number]);
        check("no {json", &["no {json"]);
        check("two\nlines", &["two", "lines"]);
    }

    #[test]
    fn long_and_deep_text_stays_small() {
        assert_eq!(lines(&"x".repeat(203), 200)[1], "... (3 more characters are in the case)");
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let shown: usize = lines(&deep, 4_000).iter().map(String::len).sum();
        assert!(shown < 4_000 * 60, "{shown}");
    }
}
