//! JSON as programs really write it.
//!
//! JavaScript cuts texts within a character and writes half of it (`"\ud83d"`, which is legal JSON and no Unicode), Python
//! writes `NaN`, and values nest as deep as somebody likes. None of these may cost the line that it stands in: what cannot
//! be a value is replaced by a text that says what stood there, and the rest is read.

use serde::de::Error as _;
use serde_json::Value;

/// How deep values may lie. serde_json reads 127 levels; what is read here is wrapped in some more by those who pass it on.
const DEEPEST: usize = 100;

/// How many values one text may hold. A value takes up to 450 bytes (`{"":0}` does), and so all of them up to a gigabyte, be
/// the text ever so short; real ones hold hundreds of thousands at most (a collector's batch of spans).
const VALUES_MAX: usize = 2 << 20;

/// What stands in the place of a deeper value.
const TOO_DEEP: &str = "\"(nested too deep to be kept)\"";

/// Reads one JSON value.
///
/// # Errors
/// What serde_json says of a text that is no JSON even so; that it holds too much.
pub fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    bounded(text)?;
    serde_json::from_slice(text).or_else(|_| serde_json::from_slice(mended(text).as_bytes()))
}

/// Refuses a text that holds more values than memory should be spent on.
///
/// # Errors
/// That it does.
pub fn bounded(text: &[u8]) -> Result<(), serde_json::Error> {
    if text.len() <= VALUES_MAX || values(text) <= VALUES_MAX {
        return Ok(());
    }
    Err(serde_json::Error::custom(format_args!("it holds more than {VALUES_MAX} values")))
}

/// How many values a text holds, or somewhat more: each but the first begins another or stands after a comma.
fn values(text: &[u8]) -> usize {
    let (mut count, mut in_text, mut escaped) = (1, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' | b',' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

/// The text with everything replaced that is no value: halves of characters, numbers that are none, bytes that are not
/// UTF-8, and what lies too deep. Lines stay as many as they were.
pub fn mended(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut mender = Mender { rest: &text, out: String::with_capacity(text.len()) };
    let mut depth = 0usize;
    while let Some(first) = mender.rest.bytes().next() {
        match first {
            b'"' => mender.text(),
            b'{' | b'[' if depth >= DEEPEST => mender.too_deep(),
            b'-' | b'0'..=b'9' | b'N' | b'I' => mender.number(),
            _ => {
                match first {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                mender.keep(mender.rest.chars().next().map_or(1, char::len_utf8));
            }
        }
    }
    mender.out
}

struct Mender<'a> {
    rest: &'a str,
    out: String,
}

impl Mender<'_> {
    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length);
        self.out.push_str(kept);
        self.rest = rest;
    }

    /// A text, with each half of a character replaced.
    fn text(&mut self) {
        self.keep(1);
        loop {
            let plain = self.rest.find(['"', '\\']).unwrap_or(self.rest.len());
            self.keep(plain);
            match self.rest.as_bytes() {
                [] => return,
                [b'"', ..] => return self.keep(1),
                _ => match (unit(self.rest), unit(self.rest.get(6..).unwrap_or(""))) {
                    (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => self.keep(12),
                    (Some(0xd800..=0xdfff), _) => {
                        self.out.push_str("\\ufffd");
                        self.rest = &self.rest[6..];
                    }
                    _ => {
                        let escaped = self.rest.chars().nth(1).map_or(0, char::len_utf8);
                        self.keep(1 + escaped);
                    }
                },
            }
        }
    }

    /// A number; one that is too great, or that only Python has, becomes a text.
    fn number(&mut self) {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = self.rest.bytes().take_while(|byte| is_part(*byte)).count();
        let word = &self.rest[..length];
        let none = matches!(word, "NaN" | "Infinity" | "-Infinity")
            || word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'e' | b'E' | b'+' | b'-' | b'.'))
                && word.parse::<f64>().is_ok_and(f64::is_infinite);
        if none {
            self.out.push('"');
            self.keep(length);
            self.out.push('"');
        } else {
            self.keep(length.max(1));
        }
    }

    /// A list or an object that lies too deep, to its end.
    fn too_deep(&mut self) {
        let (mut open, mut in_text, mut escaped, mut length) = (0usize, false, false, self.rest.len());
        for (at, byte) in self.rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            if open == 0 {
                length = at + 1;
                break;
            }
        }
        let (skipped, rest) = self.rest.split_at(length);
        if open == 0 {
            self.out.push_str(TOO_DEEP);
        }
        self.out.extend(skipped.chars().filter(|character| *character == '\n'));
        self.rest = rest;
    }
}

/// The UTF-16 unit that a text begins with, if it begins with `\uXXXX`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str, expected: Option<Value>) {
        assert_eq!(read(text.as_bytes()).ok(), expected, "{text}");
    }

    #[test]
    fn what_is_no_value_is_replaced_and_costs_nothing_else() {
        check(r#"{"a":"\ud83d","b":1}"#, Some(json!({"a": "\u{fffd}", "b": 1})));
        check(r#"["\ud83d\ude00","\ude00\ud83d","\\ud83d\ud83d","\ud83dx\ud83d"]"#, {
            Some(json!(["\u{1f600}", "\u{fffd}\u{fffd}", "\\ud83d\u{fffd}", "\u{fffd}x\u{fffd}"]))
        });
        check(r#"{"\ud83d":[NaN,-Infinity,Infinity,1e400,-1e400,1e3,-2]}"#, {
            Some(json!({"\u{fffd}": ["NaN", "-Infinity", "Infinity", "1e400", "-1e400", 1e3, -2]}))
        });
        check(r#"["NaN \" 1e400 [",NaN]"#, Some(json!(["NaN \" 1e400 [", "NaN"])));
        assert_eq!(read(b"[\"\xff\",1]").ok(), Some(json!(["\u{fffd}", 1])));
        for broken in ["", "{", "[NaN", "\"\\ud83d", "\"\\", "[\"\\u12\"]", "nan", "[1.2.3]", "[Nope]", "\u{e9}", "-"] {
            check(broken, None);
        }
    }

    #[test]
    fn what_holds_too_many_values_is_refused() {
        let many = |one: &str, count: usize| format!("[{}0]", one.repeat(count));
        for one in ["0,", "{\"\":0},", "[],"] {
            assert!(read(many(one, 1_000).as_bytes()).is_ok());
            let error = read(many(one, VALUES_MAX).as_bytes()).expect_err("it is too much");
            assert_eq!(error.to_string(), "it holds more than 2097152 values");
        }
        assert!(read(many("\"\\\",{,[,\",", VALUES_MAX / 2 - 2).as_bytes()).is_ok());
    }

    #[test]
    fn what_lies_too_deep_is_a_note() {
        let nested = |depth: usize| format!("{{\"deep\":{}\"]\\\"\"{},\"b\":1}}", "[".repeat(depth), "]".repeat(depth));
        for (depth, kept) in [(90, true), (126, true), (127, false), (200, false), (1_000_000, false)] {
            let value = read(nested(depth).as_bytes()).expect("it is read");
            assert_eq!(value["b"], 1, "{depth}");
            assert_eq!(value.to_string().contains("nested too deep"), !kept, "{depth}");
        }
        check(&"[".repeat(1_000_000), None);
        assert_eq!(mended(nested(300).replace("[[", "[\n[").as_bytes()).lines().count(), 151);
    }
}
