//! Messages out of what passes, one a line. A message that is too long to be kept is read all the same, in bounded memory:
//! of it stays a digest, with its texts cut and without what lies deep, which says as well whose call it is.

use argus_schemas::json;
use serde_json::Value;

/// The longest message that is kept as it is.
const MESSAGE_MAX: usize = 16 << 20;

/// How much stays of a text of a longer one, of what lies within its parts, and of all of it.
const TEXT_MAX: usize = 1 << 10;
const PART_MAX: usize = 64 << 10;
const DIGEST_MAX: usize = 1 << 20;

/// How deep the digest goes: a message, its parameters, their parts.
const DEPTH_MAX: usize = 3;

/// What stands in the place of what is left out.
const LEFT_OUT: &[u8] = b"\"(not kept: the message was too long)\"";
const CUT: &[u8] = b"... (cut)";

/// Takes bytes as they come and hands out messages.
#[derive(Default)]
pub struct Messages {
    line: Vec<u8>,
    long: Option<Digest>,
    /// Lines that began as a message does and are none that could be read.
    pub unread: u64,
}

impl Messages {
    /// Takes the next bytes; returns the messages that they complete.
    pub fn take(&mut self, mut bytes: &[u8]) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let read = match self.long.take() {
                Some(digest) => digest.finish().and_then(|digest| json::read(&digest).ok()),
                None => json::read(&line).ok(),
            };
            // A server may print what it likes between its messages.
            let meant = line.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| *first == b'{');
            self.unread += u64::from(read.is_none() && meant);
            messages.extend(read);
        }
        self.add(bytes);
        messages
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.long.is_none() && self.line.len() + bytes.len() > MESSAGE_MAX {
            let mut digest = Digest::default();
            digest.take(&self.line);
            // Its beginning still tells whether it is meant as a message.
            self.line.truncate(TEXT_MAX);
            self.line.shrink_to_fit();
            self.long = Some(digest);
        }
        match &mut self.long {
            Some(digest) => digest.take(bytes),
            None => self.line.extend_from_slice(bytes),
        }
    }
}

/// A long message, as far as it is kept.
#[derive(Default)]
struct Digest {
    kept: Vec<u8>,
    depth: usize,
    /// One more in a batch.
    deepest: usize,
    /// Where the part of the deepest kind that is read now begins.
    part: usize,
    /// Nothing is kept until the depth is this again.
    skipping: Option<usize>,
    in_text: bool,
    /// How much of the text was kept, and whether it is over.
    text: usize,
    cut: bool,
    /// Where in an escape it is: after its backslash, or so many digits before its end.
    after_backslash: bool,
    digits: usize,
    too_much: bool,
}

impl Digest {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if !self.too_much {
                self.byte(*byte);
                self.too_much |= self.kept.len() > DIGEST_MAX;
            }
        }
    }

    /// The digest, if the message was whole and did not have too many parts.
    fn finish(self) -> Option<Vec<u8>> {
        (!self.too_much && self.depth == 0 && !self.in_text).then_some(self.kept)
    }

    fn byte(&mut self, byte: u8) {
        if self.in_text {
            return self.in_text(byte);
        }
        if self.kept.is_empty() && !matches!(byte, b'{' | b'[' | b' ' | b'\t' | b'\r') {
            // Whatever it is, it is no message.
            self.too_much = true;
            return;
        }
        match byte {
            b'"' => {
                (self.in_text, self.text, self.cut) = (true, 0, false);
                self.keep(byte);
            }
            b'{' | b'[' => {
                if self.kept.is_empty() {
                    self.deepest = DEPTH_MAX + usize::from(byte == b'[');
                }
                if self.depth == self.deepest && self.skipping.is_none() {
                    self.kept.extend_from_slice(LEFT_OUT);
                    self.skipping = Some(self.depth);
                }
                self.depth += 1;
                if self.depth == self.deepest {
                    self.part = self.kept.len();
                }
                self.keep(byte);
            }
            b'}' | b']' => {
                self.keep(byte);
                self.depth = self.depth.saturating_sub(1);
                if self.skipping == Some(self.depth) {
                    self.skipping = None;
                }
            }
            b' ' | b'\t' | b'\r' => {}
            _ => self.keep(byte),
        }
        if self.depth == self.deepest && self.skipping.is_none() && self.kept.len() > self.part + PART_MAX {
            self.kept.truncate(self.part);
            self.kept.extend_from_slice(LEFT_OUT);
            self.skipping = Some(self.depth.saturating_sub(1));
        }
    }

    /// A byte of a text, which is cut between two characters.
    fn in_text(&mut self, byte: u8) {
        let between = !self.after_backslash && self.digits == 0;
        if between && byte == b'"' {
            if self.cut && self.skipping.is_none() {
                self.kept.extend_from_slice(CUT);
            }
            self.in_text = false;
            return self.keep(byte);
        }
        self.cut |= between && self.text >= TEXT_MAX;
        if !self.cut {
            self.text += 1;
            self.keep(byte);
        }
        self.digits = match byte {
            b'u' if self.after_backslash => 4,
            _ => self.digits.saturating_sub(1),
        };
        self.after_backslash = between && byte == b'\\';
    }

    fn keep(&mut self, byte: u8) {
        if self.skipping.is_none() {
            self.kept.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(line: &str, pieces: usize, expected: Option<Value>, unread: u64) {
        let mut messages = Messages::default();
        let mut got = Vec::new();
        for piece in format!("{line}\n{{\"next\":1}}\n").as_bytes().chunks(pieces) {
            got.extend(messages.take(piece));
            assert!(messages.line.capacity() <= 4 * MESSAGE_MAX);
            assert!(messages.long.as_ref().is_none_or(|digest| digest.kept.len() <= DIGEST_MAX + TEXT_MAX));
        }
        let expected: Vec<Value> = expected.into_iter().chain([json!({"next": 1})]).collect();
        assert!(got == expected, "{:.300?}", got);
        assert_eq!(messages.unread, unread);
    }

    #[test]
    fn a_long_message_is_read_as_far_as_it_tells_whose_it_is() {
        const LONG: usize = MESSAGE_MAX + 1;
        let text = "x".repeat(LONG);
        let cut = format!("{}... (cut)", "x".repeat(TEXT_MAX));
        let left_out = "(not kept: the message was too long)";
        let meta = r#""_meta":{"traceparent":"00-1"}"#;
        for pieces in [1 << 16, 999_983] {
            check(
                &format!(r#"{{"params":{{"name":"t","arguments":{{"a":"{text}","b":[{{}}]}},{meta}}},"id":7}}"#),
                pieces,
                Some(
                    json!({"params": {"name": "t", "arguments": {"a": cut, "b": left_out}, "_meta": {"traceparent": "00-1"}}, "id": 7}),
                ),
                0,
            );
            check(
                &format!(r#"{{"result":{{"content":[{{"text":"{text}\"]}}"}}],"isError":true}},"id":"a"}}"#),
                pieces,
                Some(json!({"result": {"content": [left_out], "isError": true}, "id": "a"})),
                0,
            );
        }
        // Many small things, wherever they are.
        let many = |one: &str| one.repeat(LONG / one.len() + 1);
        let list = many("1,");
        check(
            &format!(r#"{{"result":{{"content":[{list}1]}},"id":7}}"#),
            1 << 16,
            Some(json!({"result": {"content": left_out}, "id": 7})),
            0,
        );
        check(&format!(r#"{{"result":[{list}1],"id":7}}"#), 1 << 16, None, 1);
        check(&many(r#"{"a":"#), 1 << 16, None, 1);
        check(&many("noise "), 1 << 16, None, 0);
        // A batch lies one deeper.
        let batch = format!(r#"[{{"params":{{{meta},"arguments":{{"a":"{text}"}}}},"id":7}}]"#);
        check(
            &batch,
            1 << 16,
            Some(json!([{"params": {"_meta": {"traceparent": "00-1"}, "arguments": {"a": cut}}, "id": 7}])),
            0,
        );
    }

    #[test]
    fn texts_are_cut_between_characters() {
        for escape in ["\\\\", "\\\"", "\\u00e9", "\\ud83d", "\u{e9}"] {
            for before in 0..7 {
                let text = "x".repeat(before) + &escape.repeat(MESSAGE_MAX / escape.len() + 1);
                let mut messages = Messages::default();
                let got = messages.take(format!("{{\"id\":1,\"x\":\"{text}\"}}\n").as_bytes());
                assert_eq!(got.len(), 1, "{escape} {before}");
                assert_eq!((&got[0]["id"], messages.unread), (&json!(1), 0));
            }
        }
    }

    #[test]
    fn what_is_no_message_is_counted_if_it_was_meant_as_one() {
        check("{", 7, None, 1);
        check("  {\"a\":}", 7, None, 1);
        check("warning: [x]", 7, None, 0);
        check("", 7, None, 0);
        check(r#"{"a":"\ud83d"}"#, 7, Some(json!({"a": "\u{fffd}"})), 0);
    }
}
