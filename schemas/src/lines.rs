//! Splits a stream of bytes into lines, in bounded memory: logs come from programs that may write anything.

use std::borrow::Cow;

/// One line, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes; of a line that was too long, only its beginning.
    pub bytes: &'a [u8],
    /// Whether the line was too long.
    pub cut: bool,
}

impl<'a> Line<'a> {
    /// The line as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }
}

/// Takes bytes as they come and hands out lines.
#[derive(Debug)]
pub struct Lines {
    partial: Vec<u8>,
    skipping: bool,
    longest: usize,
    kept: usize,
}

impl Lines {
    /// Lines of up to `longest` bytes; of a longer one the first `kept` bytes are handed out, and the rest is skipped.
    pub fn new(longest: usize, kept: usize) -> Self {
        Self { partial: Vec::new(), skipping: false, longest, kept }
    }

    /// Takes the next bytes and hands every line that they complete to `line`.
    pub fn take(&mut self, mut bytes: &[u8], line: &mut dyn FnMut(Line)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            if !self.skipping {
                self.partial.extend_from_slice(&bytes[..end]);
                if self.partial.len() > self.longest {
                    self.cut(line);
                } else {
                    line(Line { bytes: &self.partial, cut: false });
                }
            }
            self.skipping = false;
            self.partial.clear();
            bytes = &bytes[end + 1..];
        }
        if self.skipping {
            return;
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > self.longest {
            self.cut(line);
            self.partial.clear();
            self.skipping = true;
        }
    }

    /// The stream ended: what came without a line's end is a line too.
    pub fn finish(&mut self, line: &mut dyn FnMut(Line)) {
        if !self.partial.is_empty() && !self.skipping {
            line(Line { bytes: &self.partial, cut: false });
        }
        self.partial.clear();
    }

    fn cut(&self, line: &mut dyn FnMut(Line)) {
        line(Line { bytes: &self.partial[..self.kept.min(self.partial.len())], cut: true });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&[u8]], expected: &[(&str, bool)]) {
        let mut lines = Lines::new(8, 2);
        let mut got = Vec::new();
        let mut keep = |line: Line| got.push((line.text().into_owned(), line.cut));
        for chunk in chunks {
            lines.take(chunk, &mut keep);
        }
        lines.finish(&mut keep);
        let expected: Vec<_> = expected.iter().map(|(text, cut)| ((*text).to_owned(), *cut)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn lines_survive_any_cutting() {
        check(&[b"a\nb", b"c\n", b"d"], &[("a", false), ("bc", false), ("d", false)]);
        check(&[b"\n\n"], &[("", false), ("", false)]);
        check(&[b"x\0y\xff\n"], &[("x\0y\u{fffd}", false)]);
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        check(&[b"123456789\nnext\n"], &[("12", true), ("next", false)]);
        check(&[b"12345", b"6789", b"tail\nnext"], &[("12", true), ("next", false)]);
        check(&[b"123456789"], &[("12", true)]);
        check(&[b"12345678\n"], &[("12345678", false)]);
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let mut lines = Lines::new(4 << 20, 64 << 10);
        let mut got = Vec::new();
        for _ in 0..100 {
            lines.take(&[b'x'; 1 << 20], &mut |line| got.push(line.bytes.len()));
            assert!(lines.partial.len() <= (4 << 20) + (1 << 20));
        }
        assert_eq!(got, [64 << 10]);
    }
}
