//! Lines and JSON values out of a log, in bounded memory.

use super::Imported;
use crate::json;
use crate::lines::{Line, Lines};
use serde_json::Value;
use serde_json::error::Category;
use std::io::{self, BufRead};

/// The longest line, and the longest document of many lines, that is read: several times the longest that is known
/// (transcripts hold images in base64). serde_json's values take some ten times as much.
const LONGEST: usize = 32 << 20;
/// How much of a longer line is looked at.
const KEPT: usize = 1 << 10;

/// Hands out every line as text, with its number from 1. What is no UTF-8 is replaced, and counted; UTF-16 is refused.
pub(super) fn each_line(
    mut reader: impl BufRead,
    imported: &mut Imported,
    take: &mut dyn FnMut(&mut Imported, u64, &str),
) -> io::Result<()> {
    let mut number = 0;
    let mut lines = Lines::new(LONGEST, KEPT);
    let mut one = |imported: &mut Imported, line: Line| {
        number += 1;
        let at = format!("line {number}");
        let bytes =
            if number == 1 { line.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line.bytes) } else { line.bytes };
        let text = Line { bytes, ..line }.text();
        if line.cut {
            imported.refuse("longer than 32 MiB", &at, &text);
            return;
        }
        if std::str::from_utf8(bytes).is_err() {
            imported.doubt("not UTF-8; what is not was replaced", &at, &text);
        }
        take(imported, number, text.trim_end_matches('\r'));
    };
    let mut first = true;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            lines.finish(&mut |line| one(imported, line));
            return Ok(());
        }
        if std::mem::take(&mut first) && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
            imported.refuse("UTF-16; convert the file to UTF-8 first (iconv -f UTF-16 -t UTF-8)", "line 1", "");
            return Ok(());
        }
        let length = bytes.len();
        lines.take(bytes, &mut |line| one(imported, line));
        reader.consume(length);
    }
}

/// Hands out the JSON value of every line, with where it stands.
pub(super) fn each_value(
    reader: impl BufRead,
    imported: &mut Imported,
    take: &mut dyn FnMut(&mut Imported, &str, Value),
) -> io::Result<()> {
    each_line(reader, imported, &mut |imported, number, line| value_of(imported, number, line, take))
}

fn value_of(imported: &mut Imported, number: u64, line: &str, take: &mut dyn FnMut(&mut Imported, &str, Value)) {
    if line.trim().is_empty() {
        return;
    }
    let at = format!("line {number}");
    match read(imported, &at, line) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => take(imported, &at, value),
        Ok(_) => imported.refuse("not a JSON object", &at, line),
        Err(error) => imported.refuse(fault(&error), &at, line),
    }
}

/// Reads one value, with what is no value in it replaced, and counted.
pub(super) fn read(imported: &mut Imported, at: &str, text: &str) -> Result<Value, serde_json::Error> {
    json::bounded(text.as_bytes())?;
    serde_json::from_str(text).or_else(|_| {
        let value = json::read(text.as_bytes())?;
        imported.doubt(MENDED, at, text);
        Ok(value)
    })
}

/// What [`json::mended`] replaces.
pub(super) const MENDED: &str =
    "JSON with half a character, a number that is none, or too deep nesting; it was replaced";

/// What is wrong with a JSON text, in words that are the same for every such text.
pub(super) fn fault(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        Category::Eof => "JSON that ends in the middle",
        Category::Data => "more values than are read of one text",
        _ => "not JSON",
    }
}

/// Hands out JSON values that stand one a line or, as documents meant for people do, over many lines. Of a document that
/// is broken, what comes before the break is read.
pub(super) fn each_document(
    reader: impl BufRead,
    imported: &mut Imported,
    take: &mut dyn FnMut(&mut Imported, &str, Value),
) -> io::Result<()> {
    let mut seen = false;
    let mut document: Option<String> = None;
    let mut too_long = false;
    each_line(reader, imported, &mut |imported, number, line| {
        if let Some(document) = &mut document {
            too_long |= document.len() + line.len() > LONGEST;
            if !too_long {
                document.push('\n');
                document.push_str(line);
            }
            return;
        }
        if line.trim().is_empty() {
            return;
        }
        let ends_early = |line: &str| {
            let read = json::bounded(line.as_bytes()).and_then(|()| serde_json::from_str::<Value>(line));
            read.is_err_and(|error| error.classify() == Category::Eof)
        };
        if !std::mem::replace(&mut seen, true) && ends_early(line) {
            document = Some("\n".repeat(usize::try_from(number - 1).unwrap_or(0)) + line);
        } else {
            value_of(imported, number, line, take);
        }
    })?;
    let Some(document) = document else { return Ok(()) };
    if too_long {
        imported.doubt("a document longer than 32 MiB; only its beginning was read", "line 1", "");
    }
    read_document(imported, &document, take);
    Ok(())
}

fn read_document(imported: &mut Imported, document: &str, take: &mut dyn FnMut(&mut Imported, &str, Value)) {
    if let Err(error) = json::bounded(document.as_bytes()) {
        return imported.refuse(fault(&error), "the document", "");
    }
    let mut values = serde_json::Deserializer::from_str(document).into_iter::<Value>();
    let mut rest = 0;
    loop {
        match values.next() {
            None => return,
            Some(Ok(value)) => {
                take(imported, "the document", value);
                rest = values.byte_offset();
            }
            Some(Err(error)) => {
                let before = document[..rest].matches('\n').count();
                let mended = json::mended(document[rest..].as_bytes());
                let whole = |text: &str| serde_json::Deserializer::from_str(text).into_iter::<Value>().next();
                if mended != document[rest..] && whole(&mended).is_some_and(|value| value.is_ok()) {
                    imported.doubt(MENDED, "the document", "");
                    return read_document(imported, &("\n".repeat(before) + &mended), take);
                }
                // A broken first line looks like the beginning of a document; whole values on lines of their own tell.
                let broken = &document[rest..];
                let one_a_line = |line: &str| line.starts_with('{') && json::read(line.as_bytes()).is_ok();
                if broken.lines().any(one_a_line) {
                    for (number, line) in broken.lines().enumerate() {
                        value_of(imported, (before + number + 1) as u64, line, take);
                    }
                    return;
                }
                let at = format!("line {}", error.line());
                let context = document.lines().nth(error.line().saturating_sub(1)).unwrap_or("");
                imported.refuse(fault(&error), &at, context);
                let until =
                    document.lines().take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum::<usize>();
                let until = (until + error.column().saturating_sub(1)).clamp(rest, document.len());
                let sound = &document.as_bytes()[rest..until];
                if let Some(Ok(value)) = mend(sound, After::Part).map(|bytes| json::read(&bytes)) {
                    take(imported, "the document, up to where it breaks", value);
                }
                return;
            }
        }
    }
}

/// What a beginning may be cut after.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// A whole object or list, at most as deep as any that a reader takes as a whole: less would look like all of it.
    Part,
    /// Any value.
    Value,
}

/// The beginning of a JSON text, cut after the last thing that is whole, and closed. `None`: none is.
pub(super) fn mend(beginning: &[u8], after: After) -> Option<Vec<u8>> {
    let (mut open, mut in_text, mut escaped) = (Vec::new(), false, false);
    let mut whole: Option<(usize, Vec<u8>)> = None;
    for (at, byte) in beginning.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => {
                if open.pop() != Some(*byte) {
                    break;
                }
                if open.len() <= MENDED_DEPTH {
                    whole = Some((at + 1, open.clone()));
                }
            }
            b',' if after == After::Value => whole = Some((at, open.clone())),
            _ => {}
        }
    }
    let (length, open) = whole?;
    Some([&beginning[..length], &open.into_iter().rev().collect::<Vec<u8>>()].concat())
}

/// No part that a reader takes as a whole (a message, a run, a span of OTLP) lies deeper than this.
const MENDED_DEPTH: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn check_mended(beginning: &str, expected: Option<&str>) {
        let mended = mend(beginning.as_bytes(), After::Part).map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        assert_eq!(mended.as_deref(), expected, "{beginning}");
    }

    #[test]
    fn a_broken_document_is_mended_after_its_last_whole_part() {
        check_mended(r#"{"a":[{"b":1},{"b":"#, Some(r#"{"a":[{"b":1}]}"#));
        check_mended(r#"{"a":"}]","b":[1],"c":"x"#, Some(r#"{"a":"}]","b":[1]}"#));
        check_mended(r#"{"a":"\"}","b":{}}"#, Some(r#"{"a":"\"}","b":{}}"#));
        check_mended(r#"[{"a":1}]]"#, Some(r#"[{"a":1}]"#));
        check_mended(r#"{"a":"#, None);
        check_mended("", None);
    }

    type Value3 = (Vec<Value>, u64, u64);

    fn check(log: &[u8], documents: bool) -> Value3 {
        let mut imported = Imported::default();
        let mut got = Vec::new();
        let mut take = |_: &mut Imported, _: &str, value: Value| got.push(value);
        if documents {
            each_document(log, &mut imported, &mut take).expect("memory can be read");
        } else {
            each_value(log, &mut imported, &mut take).expect("memory can be read");
        }
        (got, imported.counts.lost(), imported.counts.doubts.values().map(|trouble| trouble.count).sum())
    }

    #[test]
    fn values_stand_on_lines_or_over_many() {
        let one = serde_json::json!({"a": 1});
        assert_eq!(check(b"{\"a\":1}\n\n{\"a\":1}\r\n", false), (vec![one.clone(); 2], 0, 0));
        assert_eq!(check(b"\xef\xbb\xbf{\"a\":1}", false), (vec![one.clone()], 0, 0));
        assert_eq!(check(b"{\n\"a\":\n1}\n{\"a\":1}", true), (vec![one.clone(); 2], 0, 0));
        assert_eq!(check(b"{\"a\":1}\n{\"a\":1", true), (vec![one.clone()], 1, 0));
        assert_eq!(check(b"{\"a\":\n{\"a\":1}\n{\"a\":1}\n", true), (vec![one.clone(); 2], 1, 0));
        assert_eq!(
            check(b"{\n\"b\": [{\"a\":1},\n{\"a\"", true),
            (vec![serde_json::json!({"b": [one.clone()]})], 1, 0)
        );
        assert_eq!(check(b"", true), (vec![], 0, 0));
    }

    #[test]
    fn other_encodings_are_named() {
        assert_eq!(check(b"\xff\xfe{\0}\0", false), (vec![], 1, 0));
        assert_eq!(check(b"{\"a\":\"\xe9\"}", false), (vec![serde_json::json!({"a": "\u{fffd}"})], 0, 1));
    }

    #[test]
    fn what_is_no_value_costs_only_itself() {
        let cut = serde_json::json!({"a": ["\u{fffd}", "NaN"]});
        assert_eq!(check(b"{\"a\":[\"\\ud83d\",NaN]}\n", false), (vec![cut.clone()], 0, 1));
        assert_eq!(check(b"{\"a\":[\"\\ud83d\",NaN]}\n", true), (vec![cut.clone()], 0, 1));
        assert_eq!(check(b"{\n\"a\":[\"\\ud83d\",NaN]}\n{\"a\"", true), (vec![cut], 1, 1));
    }

    #[test]
    fn what_is_deep_or_long_costs_only_itself() {
        let deep = [b"[".repeat(100_000), b"\n{\"a\":1}".to_vec()].concat();
        assert_eq!(check(&deep, false), (vec![serde_json::json!({"a": 1})], 1, 0));
        let long = [b" ".repeat(LONGEST + 1), b"\n{\"a\":1}".to_vec()].concat();
        assert_eq!(check(&long, false), (vec![serde_json::json!({"a": 1})], 1, 0));
    }
}
